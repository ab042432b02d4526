"""A badge: an SVG that says in two words how a workflow is. Pure.

It loads nothing (fonts are the reader's), and the widths of its texts are set, so that it looks alike whatever they are.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

LONGEST = 60  # characters of a name
_GOOD, _BAD, _WARN, _ODD, _LIVE, _MUTE = "#0e7c66", "#b01a10", "#966a00", "#8d2aa0", "#1257d6", "#4f5763"
_COLOURS = {  # as the dashboard's, on white
    "succeeded": _GOOD,
    **dict.fromkeys(("failed", "missed"), _BAD),
    **dict.fromkeys(("timed_out", "late"), _WARN),
    **dict.fromkeys(("crashed", "upstream_failed"), _ODD),
    **dict.fromkeys(("starting", "running"), _LIVE),
}
_CHARACTER, _PADDING, _HEIGHT = 6.6, 8, 20  # px
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img" aria-label="{label}: {word}">
<title>{label}: {word}</title>
<clipPath id="r"><rect width="{width}" height="{height}" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{left}" height="{height}" fill="#171b22"/>\
<rect x="{left}" width="{right}" height="{height}" fill="{colour}"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">\
<text x="{label_x}" y="14" textLength="{label_width}">{label}</text>\
<text x="{word_x}" y="14" textLength="{word_width}">{word}</text></g>
</svg>
"""


def badge(label: str, word: str) -> str:
    """The SVG for a workflow's name and a state or verdict; a word that is neither is grey."""
    label = "".join(c if c.isprintable() else "�" for c in label)
    label = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
    label_width, word_width = (round(_CHARACTER * max(1, len(text))) for text in (label, word.replace("_", " ")))
    left, right = label_width + 2 * _PADDING, word_width + 2 * _PADDING
    return _SVG.format(
        width=left + right, height=_HEIGHT, left=left, right=right, colour=_COLOURS.get(word, _MUTE),
        label=escape(label, {'"': "&quot;"}), word=escape(word.replace("_", " ")),
        label_x=left / 2, word_x=left + right / 2, label_width=label_width, word_width=word_width,
    )  # fmt: skip
