"""The errors of an export; each message names the input and the remedy.

ExportError
├── CheckpointError     a checkpoint cannot be read, or does not fit the architecture
├── ConversionError     a model cannot be written in the format asked for, or quantised
├── ParityError         an artefact does not give its checkpoint's numbers
├── RepositoryError     a version is there already
├── UnknownMemberError  a checkpoint for a member that the pipeline does not have
├── ClassMapError                (class_map.py) a class map says other classes than the YAML
├── EvidenceError                (labelled_photos.py) no photos that could judge an INT8 member
├── GateError                    (gate.py) an INT8 member or `fast` changes decisions
└── UnknownArchitectureError     (architectures.py) the YAML names one that is not built here

The demo has some of its own (demo/).
"""


class ExportError(Exception):
    """Base of all errors of an export."""


class CheckpointError(ExportError):
    """A checkpoint that cannot be read, is not safe to read, or does not fit."""


class ConversionError(ExportError):
    """A model could not be written in the format asked for."""


class ParityError(ExportError):
    """An artefact's numbers lie too far from its checkpoint's, or there is nothing to compare."""


class RepositoryError(ExportError):
    """A version that is there already."""


class UnknownMemberError(ExportError):
    """A checkpoint was given for a member that the pipeline does not have, or that takes none."""
