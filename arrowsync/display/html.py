"""Lays documents out for notebooks: everything escaped, no outside files, for light and dark themes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from arrowsync.display.document import Code, Document, Facts, Grid, Notes, Part, Section, Text, toned

# Lines and shades are see-through greys and texts keep the notebook's colour, so that no theme has to be
# asked for. White on the tones' backgrounds has a contrast of at least 4.5, whatever lies around it.
# `div.arrowsync table.data td` outweighs JupyterLab's own rules for cells.
STYLE = """<style>
.arrowsync{font-size:13px;line-height:1.45;max-width:100%}
.arrowsync b.title{font-size:14px}
.arrowsync table{font-size:inherit;border-collapse:collapse;border:0;margin:.5em 0;color:inherit;
 background:none}
div.arrowsync table.data tr,div.arrowsync table.data tr:nth-child(n){background:none}
div.arrowsync table.data td,div.arrowsync table.data th{border:0;padding:.2em .9em .2em 0;text-align:left;
 vertical-align:top;white-space:pre-wrap;overflow-wrap:break-word;max-width:32em;color:inherit}
div.arrowsync table.data th{border-bottom:1px solid rgba(128,128,128,.55);font-weight:600;white-space:nowrap}
div.arrowsync table.data td{border-bottom:1px solid rgba(128,128,128,.2)}
div.arrowsync table.data .right{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
div.arrowsync table.facts th{font-weight:400;opacity:.7;white-space:nowrap}
.arrowsync .scroll{overflow-x:auto}
.arrowsync pre{margin:.5em 0;padding:.6em .8em;background:rgba(128,128,128,.12);color:inherit;
 white-space:pre-wrap;overflow-wrap:anywhere;border-radius:4px}
.arrowsync summary{cursor:pointer;font-weight:600;margin-top:.4em}
.arrowsync details>div{margin-left:1em}
.arrowsync .good,.arrowsync .warn,.arrowsync .bad{border-radius:3px;padding:0 .4em;color:#fff;
 white-space:nowrap}
.arrowsync .good{background:#1a7f37}.arrowsync .warn{background:#8a5a00}.arrowsync .bad{background:#c2232b}
.arrowsync .dim{opacity:.65}
.arrowsync p{margin:.4em 0;padding:.25em .7em;border-left:4px solid rgba(128,128,128,.5);white-space:pre-wrap}
.arrowsync p.note-good{border-color:#1a7f37}.arrowsync p.note-warn{border-color:#c98500}
.arrowsync p.note-bad{border-color:#c2232b}
</style>"""


def render(document: Document) -> str:
    """The document as one element of HTML."""
    title = f'<b class="title">{_text(document.title)}</b>'
    return f'{STYLE}<div class="arrowsync">{title}{"".join(map(_part, document.parts))}</div>'


def _part(part: Part) -> str:
    match part:
        case Facts(pairs):
            rows = "".join(f"<tr><th>{escape(name)}</th><td>{_text(text)}</td></tr>" for name, text in pairs)
            return f'<table class="data facts">{rows}</table>'
        case Grid():
            return _grid(part)
        case Notes(lines):
            return "".join(f'<p class="note-{line.tone}">{escape(line.text)}</p>' for line in lines)
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Section(title, inner, is_open):
            body = "".join(map(_part, inner))
            return f"<details{' open' * is_open}><summary>{_text(title)}</summary><div>{body}</div></details>"


def _grid(grid: Grid) -> str:
    head = _row("th", [heading.title for heading in grid.headings], grid)
    body = "".join(_row("td", row, grid) for row in grid.rows)
    table = f'<table class="data grid"><thead>{head}</thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def _row(tag: str, cells: Sequence[Text], grid: Grid) -> str:
    styles = [' class="right"' if heading.right else "" for heading in grid.headings]
    inner = (f"<{tag}{style}>{_text(cell)}</{tag}>" for style, cell in zip(styles, cells, strict=True))
    return f"<tr>{''.join(inner)}</tr>"


def _text(text: Text) -> str:
    text, escaped = toned(text), escape(toned(text).text)
    return escaped if text.tone == "plain" else f'<span class="{text.tone}">{escaped}</span>'
