"""Read a Darknet .cfg, refuse what one of its readers would ignore, and follow the shapes through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from meerkat_contract.errors import ModelError

from .darknet_readers import DEFAULTS, LAYERS, NET, NEUTRAL, OPENCV, TRAINING, TRAINING_ANYWHERE, Reader

_LIMIT = 4096
"""Largest width, height and number of filters that is believed."""
_HEADS = ("yolo", "region")


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """One [layer] with its options, and the line it starts at."""

    name: str
    options: dict[str, Option]
    line: int

    def text(self, key: str, default: str = "") -> str:
        option = self.options.get(key)
        return default if option is None else option.value

    def line_of(self, key: str) -> int:
        option = self.options.get(key)
        return self.line if option is None else option.line


@dataclass(frozen=True, slots=True)
class Network:
    """What the .cfg says of the input, the boxes, and how many numbers the weights hold."""

    width: int
    height: int
    channels: int
    classes: int
    parameters: int


Shape = tuple[int, int, int]
"""Width, height, channels of what a layer gives on."""


class Cfg:
    """A .cfg that has been read. Its errors name the file, the line and the remedy."""

    def __init__(self, text: str, *, where: str) -> None:
        """Raises ModelError when this is no .cfg at all."""
        self.where = where
        self.sections = list(_sections(text, where))
        if not self.sections or self.sections[0].name not in ("net", "network"):
            raise ModelError(
                "a Darknet configuration starts with [net]",
                where=where,
                remedy="Give the .cfg of the weights",
            )

    def check(self, reader: Reader = OPENCV) -> None:
        """Raise ModelError for the first thing that `reader` would ignore or get wrong."""
        for section in self.sections[1:]:
            known = reader.layers.get(section.name)
            if known is None:
                known_at_all = section.name in LAYERS
                raise self._error(
                    f"layer [{section.name}] is not known" + (f" to {reader.title}" * known_at_all),
                    section.line,
                    f"Known layers: {', '.join(sorted(reader.layers))}. {reader.remedy}",
                )
            if section.name == "dropout":  # does nothing but in training, whatever it says
                continue
            for key, option in section.options.items():
                self._check_option(reader, section, key, option, known)

    def _check_option(
        self, reader: Reader, section: Section, key: str, option: Option, known: frozenset[str]
    ) -> None:
        if key == "activation" and key in known and option.value not in reader.activations:
            raise self._error(
                f"activation {option.value!r} is not known to {reader.title}",
                option.line,
                f"Known: {', '.join(sorted(reader.activations))}. {reader.remedy}",
            )
        if _neutral(key, option.value):
            return
        if key in known | TRAINING_ANYWHERE | TRAINING.get(section.name, frozenset()):
            return
        raise self._error(
            f"[{section.name}] option {key}={option.value} would be ignored by {reader.title}, "
            "which gives a wrong network",
            option.line,
            f"Take the line out if it concerns training alone, else: {reader.remedy}",
        )

    def network(self) -> Network:
        """Follow the shapes through the layers; raises ModelError where they do not fit together."""
        net = self.sections[0]
        width, height = (self._integer(net, key, 0) for key in ("width", "height"))
        channels = self._integer(net, "channels", 3)
        parameters, before = 0, channels
        for section, shape in zip(self.sections[1:], self.shapes(), strict=True):
            if section.name == "convolutional":
                parameters += self._parameters(section, before)
            before = shape[2]
        return Network(width, height, channels, self._classes(), parameters)

    def shapes(self) -> list[Shape]:
        """What each layer after [net] gives on."""
        net = self.sections[0]
        width, height = (self._integer(net, key, 0) for key in ("width", "height"))
        shape: Shape = (width, height, self._integer(net, "channels", 3))
        shapes: list[Shape] = []
        for section in self.sections[1:]:
            if section.name == "convolutional":
                shape = self._convolution(section, shape)
            else:
                shape = self._shape(section, shape, shapes)
            shapes.append(shape)
        return shapes

    def render(self, reader: Reader) -> bytes:
        """The .cfg as `reader` is to read it: nothing but what it acts on, for one picture at a time."""
        net = self.sections[0]
        lines = ["[net]", "batch=1", "subdivisions=1"]
        lines += [f"{key}={net.text(key, '3')}" for key in sorted(NET)]
        for section in self.sections[1:]:
            lines += ["", f"[{section.name}]"]
            values = {**DEFAULTS.get(section.name, {})}
            values |= {key: option.value for key, option in section.options.items()}
            if section.name == "maxpool":
                values.setdefault("size", values["stride"])
            if values.get("batch_normalize", "0") != "0":
                values["batch_normalize"] = "1"  # 2 is a way of training it; OpenCV takes it for none at all
            known = reader.layers[section.name]
            lines += [f"{key}={value}" for key, value in values.items() if key in known]
            lines += [f"{key}={value}" for key, value in reader.added.get(section.name, {}).items()]
        return ("\n".join(lines) + "\n").encode()

    def _convolution(self, section: Section, shape: Shape) -> Shape:
        width, height, depth = shape
        filters, size, groups, stride = (
            self._integer(section, key, 1) for key in ("filters", "size", "groups", "stride")
        )
        if depth % groups or filters % groups:
            raise self._error(
                f"{groups} groups do not divide {depth} channels and {filters} filters",
                section.line_of("groups"),
                "The .cfg is damaged; fetch it again",
            )
        given = self._integer(section, "padding", 0, least=0)
        padding = size // 2 if section.text("pad", "0") != "0" else given
        return (
            self._fits(section, (width + 2 * padding - size) // stride + 1),
            self._fits(section, (height + 2 * padding - size) // stride + 1),
            filters,
        )

    def _parameters(self, section: Section, depth: int) -> int:
        """How many numbers of the weights are this layer's, which gets `depth` channels."""
        filters, size, groups = (self._integer(section, key, 1) for key in ("filters", "size", "groups"))
        normalised = section.text("batch_normalize", "0") != "0"
        return filters * (4 if normalised else 1) + filters * (depth // groups) * size * size

    def _shape(self, section: Section, shape: Shape, shapes: list[Shape]) -> Shape:
        width, height, depth = shape
        if section.name == "maxpool":
            stride = self._integer(section, "stride", 1)
            size = self._integer(section, "size", stride)
            padding = self._integer(section, "padding", size - 1, least=0)
            return (
                self._fits(section, (width + padding - size) // stride + 1),
                self._fits(section, (height + padding - size) // stride + 1),
                depth,
            )
        if section.name == "avgpool":
            return (1, 1, depth)
        if section.name == "upsample":
            stride = self._integer(section, "stride", 2)
            return (width * stride, height * stride, depth)
        if section.name == "reorg":
            stride = self._integer(section, "stride", 1)
            if width % stride or height % stride:
                raise self._sizes(section, f"{width}x{height} does not divide by {stride}")
            if depth % (stride * stride):
                raise self._error(
                    f"[reorg] {depth} channels do not divide by {stride * stride}",
                    section.line_of("stride"),
                    "The readers of a .cfg disagree on what that means; use another number of filters before",
                )
            return (width // stride, height // stride, depth * stride * stride)
        if section.name == "route":
            return self._route(section, shapes)
        if section.name == "shortcut":
            other = self._layer(section, "from", section.text("from"), shapes)
            if other != shape:
                raise self._sizes(section, f"{shape} is added to {other}")
        if section.name in _HEADS:
            self._head(section, depth)
        return shape

    def _route(self, section: Section, shapes: list[Shape]) -> Shape:
        sources = [self._layer(section, "layers", s, shapes) for s in section.text("layers").split(",")]
        if len({source[:2] for source in sources}) > 1:
            raise self._sizes(section, " and ".join(f"{w}x{h}" for w, h, _ in sources) + " are put together")
        groups = self._integer(section, "groups", 1)
        if any(depth % groups for _, _, depth in sources):
            raise self._error(
                f"{groups} groups do not divide its channels",
                section.line_of("groups"),
                "The .cfg is damaged; fetch it again",
            )
        return (*sources[0][:2], sum(depth for _, _, depth in sources) // groups)

    def _head(self, section: Section, depth: int) -> None:
        """Anchors, mask and the filters before them must tell the same story."""
        number, classes = self._integer(section, "num", 1), self._integer(section, "classes", 20)
        anchors = _numbers(section.text("anchors"))
        chosen = number
        if section.name == "yolo":
            mask = _numbers(section.text("mask"))
            if not mask or any(not 0 <= each < number or each != int(each) for each in mask):
                raise self._error(
                    f"mask={section.text('mask')} does not name anchors of 0 to {number - 1}",
                    section.line_of("mask"),
                    "The .cfg is damaged; fetch it again",
                )
            chosen = len(mask)
        if len(anchors) != 2 * number:
            raise self._error(
                f"there are {len(anchors)} numbers of anchors, num={number} needs {2 * number}",
                section.line_of("anchors"),
                "Correct num or anchors",
            )
        if depth != chosen * (5 + classes):
            raise self._error(
                f"[{section.name}] gets {depth} channels; {chosen} anchors and {classes} classes need "
                f"{chosen * (5 + classes)}",
                section.line_of("classes"),
                "Correct classes, or filters of the layer before it: both are as they were in training",
            )

    def _classes(self) -> int:
        heads = [section for section in self.sections if section.name in _HEADS]
        if not heads:
            raise ModelError(
                "the network has no [yolo] or [region] layer",
                where=self.where,
                remedy="Use a detector's .cfg",
            )
        last = self.sections[-1]
        if last is not heads[-1] or len({section.name for section in heads}) > 1:
            raise self._error(
                f"the network ends with [{last.name}], not with its boxes",
                last.line,
                "Use a detector's .cfg, whole",
            )
        classes = {self._integer(section, "classes", 20) for section in heads}
        if len(classes) > 1:
            raise self._error(
                f"the [{last.name}] layers have {' and '.join(map(str, sorted(classes)))} classes",
                last.line_of("classes"),
                "All of them find the same things: correct classes",
            )
        return classes.pop()

    def _layer(self, section: Section, key: str, source: str, shapes: list[Shape]) -> Shape:
        """What the layer gives on that `source` points at: -2 counts back from here, 7 from the start."""
        try:
            offset = int(source)
            index = offset if offset >= 0 else len(shapes) + offset
            if not 0 <= index < len(shapes):
                raise IndexError(index)
        except (ValueError, IndexError):
            raise self._error(
                f"it points at layer {source.strip()!r}, which does not come before it",
                section.line_of(key),
                "The .cfg is damaged; fetch it again",
            ) from None
        return shapes[index]

    def _integer(self, section: Section, key: str, default: int, *, least: int = 1) -> int:
        text = section.text(key, str(default))
        if text.isascii() and text.isdigit() and least <= int(text) <= _LIMIT:
            return int(text)
        raise self._error(
            f"[{section.name}] {key}={text} is not a number from {least} to {_LIMIT}",
            section.line_of(key),
            "The .cfg is damaged; fetch it again",
        )

    def _fits(self, section: Section, size: int) -> int:
        if size < 1:
            raise self._sizes(section, "nothing is left of the picture")
        return size

    def _sizes(self, section: Section, what: str) -> ModelError:
        return self._error(
            f"[{section.name}] the sizes do not fit: {what}",
            section.line,
            "width and height of [net] are multiples of 32 for most networks",
        )

    def _error(self, what: str, line: int, remedy: str) -> ModelError:
        return ModelError(what, where=f"{self.where}:{line}", remedy=remedy)


def read_cfg(path: Path) -> Cfg:
    """Raises ModelError when the file cannot be read or is no .cfg."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ModelError(
            f"a Darknet network is two files, one cannot be read: {error.strerror}",
            where=str(path),
            remedy="Put the .cfg beside the .weights; `meerkat models pull` fetches both",
        ) from error
    return Cfg(text, where=str(path))


def _sections(text: str, where: str) -> Iterator[Section]:
    section: Section | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].partition(";")[0].strip()
        if line.startswith("["):
            if section is not None:
                yield section
            section = Section(line.strip("[] ").lower(), {}, number)
        elif "=" in line and section is not None:
            key, _, value = line.partition("=")
            # Darknet, which trained it, takes the first of two.
            section.options.setdefault(key.strip(), Option("".join(value.split()), number))
        elif line:
            raise ModelError(
                f"line {line[:40]!r} is neither a [layer] nor option=value",
                where=f"{where}:{number}",
                remedy="Is this the .cfg of a Darknet network?",
            )
    if section is not None:
        yield section


def _neutral(key: str, value: str) -> bool:
    """Whether the option is as good as not there."""
    neutral = NEUTRAL.get(key, "0")
    try:
        return float(value) == float(neutral)
    except ValueError:
        return value == neutral


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part]
    except ValueError:
        return []
