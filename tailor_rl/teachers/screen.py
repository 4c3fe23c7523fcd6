"""What teacher text must not hold. It becomes prompts and training data, so it is untrusted input.

Knows nothing about prompts or tasks: functions of one text, each linear in its length.
"""

from __future__ import annotations

import re
import unicodedata

# Written out in a text, a tokenizer would read these as the turns of a chat, not as words. The
# full-width bar is DeepSeek's. A closed list, so that a trace may speak of "a<b>c".
_CONTROL_TOKEN = re.compile(
    r"""[<\uff1c][|\uff5c] | [|\uff5c][>\uff1e]
      | </?(?:s|bos|eos|pad|unk|sep|cls|mask|sot|eot|sop|eop|eoh|eoa|endoftext|image|audio
             |(?:start|end)_of_(?:turn|image|text|audio)|(?:bos|eos|pad|unk)_token
             |think|thinking|reasoning|scratchpad
             |tools?|tool_calls?|tool_response|tool_results?|functions?|function_(?:calls?|response)
             |invoke|parameter|observation
             |(?:extra_id|reserved|special)_\d{1,4}|unused\d{1,4})(?:[ =][^<>\n]{0,80})?>
      | <(?:function|parameter)=[\w.-]{1,80}>
      | \[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|CALL_ID|ARGS
             |IMG|IMG_BREAK|IMG_END|THINK|CLS|SEP|PAD|UNK|MASK|gMASK|sMASK)\]
      | <</?SYS>>
      | [<\uff1c][a-z]{1,12}:(?:bos|eos|pad|think|tool_call|budget_reflect|cot_budget_reflect)>
      | \]~[a-z!]\[ """,
    re.IGNORECASE | re.VERBOSE,
)
_URL = re.compile(
    r"""\b(?:https?|hxxps?|ftps?|wss?|ldaps?|ssh):/? | \bfile:/
      | \bdata:[\w.+-]{1,40}/[\w.+-] | \w\[\.\]\w | \w[\w-]\.[a-z]{2,4}/\w
      | \b(?:java|vb)script:(?!\s) | \bmailto:\S
      | \bwww\.\w | [\w-]\.(?:com|org|net|io|ru|cn)(?:/|\b(?!\.?\w)) | (?<![\w:/])//[\w-]+\.\w""",
    re.IGNORECASE | re.VERBOSE,
)
_MARKUP = re.compile(
    r"""!\[ | \]\(
      | <!-- | <!doctype | <!\[cdata\[ | <\?\w
      | </[a-z]
      | <(?:script|iframe|img|svg|style|link|meta|object|embed|form|input|button|textarea|video
           |audio|body|html|head|base|div|span|table|br|hr|marquee|details|template|math)\b
      | <[a-z]{1,12}\s{1,8}[a-z-]{1,20}\s{0,8}=
      | &\#x?[0-9a-f]{1,7}; | &(?:lt|gt|amp|quot|apos|nbsp|zwnj|zwj|colon|lpar|sol|newline|tab);""",
    re.IGNORECASE | re.VERBOSE,
)
_CODE = re.compile(
    r"""```|~~~ | ^\#! | <\?php
      | \b(?:os|sys|subprocess|shutil|socket|pty|builtins)\.[a-z_]+\s?\(
      | \b(?:eval|exec|__import__|compile|popen|execve|system)\((?=\s?["'\w])
      | \b__[a-z]{2,20}__\b
      | ^\s{0,8}(?:import\s[a-z_.]+\s{0,4}(?:;|$)|from\s[a-z_.]+\simport\s)
      | \bimport\s(?:os|sys|subprocess|socket|shutil|requests|pickle)\b
      | \brm\s-[rf]{1,3}\b | \bsudo\s\w | \b(?:curl|wget|nc|bash|sh|chmod|powershell)\s-{1,2}\w
      | \|\s?(?:ba|z)?sh\b | \$\((?:curl|wget|cat|ls|rm|id|whoami)\b
      | \b(?:drop|truncate)\stable\s\w | ['"]\s?or\s['"]?1['"]?\s?=\s?['"]?1
      | \{\s{0,8}"(?:name|function|tool|tool_name|arguments|action|recipient|role)"\s{0,8}:""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
# A set of sets, {{1}, {2}}, and LaTeX's x^{2^{n}} are no templates.
_TEMPLATE = re.compile(
    r"""\{\{[^{}]{0,200}\}\} | \{%-?\s | <%[=@\s] | \#\{[a-z_][\w.]{0,80}\}
      | \$\{[^{}\\$]{1,200}\}(?!\s{0,4}[\$^_])""",
    re.IGNORECASE | re.VERBOSE,
)
# Drawn as nothing, yet of no invisible category: fillers, variation selectors, a blank of Braille.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0))))
)
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ASCII_LINE = re.compile(r"[\x20-\x7e]*")


def has_control_tokens(text: str) -> bool:
    """Whether a text holds a chat-template token ("<|im_end|>") or a control character."""
    if _CONTROL_TOKEN.search(text):
        return True
    return any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t" for c in text)


def has_url(text: str) -> bool:
    return _URL.search(text) is not None


def has_markup(text: str) -> bool:
    """Whether a text holds a Markdown link or image, an HTML tag, comment or entity."""
    return _MARKUP.search(text) is not None


def has_code(text: str) -> bool:
    """Whether a text holds a fence, a call into the system, a shell line or a tool call in JSON.
    Plain expressions such as f(2) or sorted(x) are none.
    """
    return _CODE.search(text) is not None


def has_template(text: str) -> bool:
    """Whether a text holds an expression that a template engine would fill in."""
    return _TEMPLATE.search(text) is not None


def odd_character(text: str) -> str | None:
    """The first character that a reader cannot see, or None. Line breaks and tabs are seen.

    Control, format (zero-width, bidirectional, tag), private, unassigned and surrogate characters,
    separators of lines and paragraphs, and letters that are drawn as nothing.
    """
    if _ASCII_LINE.fullmatch(text):
        return None
    return next((c for c in text if c not in "\n\r\t" and _not_shown(c)), None)


def _not_shown(c: str) -> bool:
    return unicodedata.category(c) in _NOT_SHOWN or c in _BLANK
