"""The text of docs/demo.md around its figures."""

TEXT = """\
# Demo weights

<!-- Written by `{command}`: run that again instead of editing. -->

`python -m demo PIPELINE` exports the demo weights of a pipeline, so that a newcomer sees answers \
that vary with the image. **They mean nothing clinically.** The weights call themselves `demo` in \
the manifest and in every answer.

They were trained from nothing on drawings and are committed in `demo/checkpoints/` \
({megabytes:.1f} MB), each pipeline's with its `figures.json`: safetensors, matrices and kernels \
in FP16, vectors in FP32. Figures were measured after that rounding. Every machine serves the \
same weights; their answers differ from one machine to another only as floating-point arithmetic \
does.

`make demo-weights` trains them anew, which takes an hour or more on two cores, and compares the \
figures: it fails where one lies more than 0.03 below the committed one. \
`python -m demo.weights PIPELINE --keep` puts the new ones in \
place of the committed ones; `python -m demo.calibration PIPELINE` calibrates them then.

## What the drawings are
Numbers turned into pixels: no photograph, no patient and no expert's knowledge went into them, \
and a model that tells them apart knows nothing of photographs.

- `oral_cancer` (`demo/drawings.py`): uneven light, fine vessels and gloss that look \
vaguely like mucosa. A lesion is an irregular patch with a sharp edge and a rough surface; \
healthy mucosa has a smooth patch with a soft edge. Every drawing has one more soft coloured \
patch that means nothing. Each drawing's mean and standard deviation per channel come from one \
distribution for both classes, so colour tells nothing. About {hard_mucosa:.0%} are hard on \
purpose: faint, small lesions, and rough patches on healthy mucosa.
- `mhist` (`demo/histology.py`): stained tissue with glands, small and round (HP) or \
dilated, serrated and irregular (SSA). SSA is also redder on average, or the perceptron, which \
sees little more than colour, could learn nothing: colour statistics alone tell most of them. \
About {hard_histology:.0%} are hard: wide but round glands, serrated but narrow ones.
- `snake_species` (`demo/snakes.py`): a winding body on some ground; pattern (zigzag, bars, \
rings, diamonds, ...) and colour tell the species. About {hard_snakes:.0%} are hard: faint \
patterns, thin bodies, leaves in front.
- `object_detection` (`demo/scenes.py`): circles, squares, triangles and stars of any \
colour that is lighter than the textured ground, turned by up to 26 degrees: the outline alone \
tells them apart.
- `cervical_lesions` (`demo/lesions.py`): a cervix with lesions in three textures.

## What was measured
A seed stands for the drawings, the first weights and the order of training. A classification's \
shares are accuracies on held-out drawings, by what a request gets where it asks for nothing \
else; `detections` and `objects` are means over the scenes, at the default threshold. INT8 members \
are made from their originals' checkpoints by the export, which measures them itself.

{tables}

Temperatures were fitted to {photos} drawings, calibration errors and the bounds of the \
prediction sets are of {photos} others, and the sets were checked on {checked} more, none of which \
any training saw (`python -m demo.calibration`, which writes `calibration.json` beside the \
checkpoints). Numbers in brackets are 95 % intervals. FP16 forms and ONNX have their \
checkpoint's. Networks that learnt from smoothed labels are too unsure of themselves: a \
temperature below 1 makes them surer.

CPU times are of drawing, training and measuring, with one or two threads, on a machine that \
other work shared.

## How the checkpoints are that small
- VGG16 is trained at a quarter of its width, with batch normalisation. The export folds that into \
the convolutions and widens the network to its full size without changing what it computes \
(`demo/widening.py`; the largest difference allowed between the logits is {tolerance:.0e}).
- ViT-B/16 is trained with a twelfth of its channels and a third of its blocks and widened \
likewise; the other blocks add nothing (`demo/narrow_vit.py`).
- The perceptron's first layer averages 8 x 8 pixels; only the others are trained, at a quarter \
and a third of their width (`demo/pooled_mlp.py`).
- Convolutional classifiers see crops of half the side or less, at the served scale; batch \
statistics are then taken anew from whole images.
- YOLOS and Mask R-CNN are small ones, and are served as they were trained.
"""
