"""The words of docs/demo.md, around its figures."""

TEXT = """\
# Demo weights

<!-- Written by `{command}`: run that again instead of editing. -->

`python -m export PIPELINE --demo` trains a pipeline's members from nothing on drawings, so that \
a newcomer sees answers that vary with the image. **They mean nothing clinically.** The weights \
call themselves `demo` in the manifest and in every answer.

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
A seed stands for the drawings, the initial weights and the order of training; the range is from \
the lowest seed to the highest. A classification's shares are accuracies on {held_out} held-out \
drawings, by what a request gets where it asks for nothing else; detectors are measured on those \
that their training holds out. INT8 members are made from their originals' checkpoints by the \
export, which measures them itself.

{tables}

Times are of `--demo`'s training, drawing and quick check, with {threads} threads, on a machine \
that other work may have shared.

## How it is that quick
- VGG16 is trained at a quarter of its width, with batch normalisation; that is folded into the \
convolutions, and the network is widened to its full size without changing what it computes \
(`demo/widening.py`; the largest difference allowed between the logits is \
{tolerance:.0e}).
- ViT-B/16 is trained with a twelfth of its channels and a third of its blocks and widened \
likewise; the other blocks add nothing (`demo/narrow_vit.py`).
- The perceptron's first layer averages 8 x 8 pixels; only the others are trained \
(`demo/pooled_mlp.py`).
- Convolutional classifiers see crops of half the side or less, at the served scale; batch \
statistics are then taken anew from whole images.
"""
