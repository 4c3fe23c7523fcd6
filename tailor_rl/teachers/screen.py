"""What teacher text must not hold. It becomes prompts and training data, so it is untrusted input.

Knows nothing about prompts or tasks: functions of one text.
"""

from __future__ import annotations

import re
import unicodedata

# Written out in a text, a tokenizer would read these as the turns of a chat, not as words. The
# full-width bar is DeepSeek's. A closed list, so that a trace may speak of "a<b>c".
_CONTROL_TOKEN = re.compile(
    r"""[<\uff1c][|\uff5c] | [|\uff5c][>\uff1e]
      | </?(?:s|bos|eos|pad|unk|sep|cls|mask|sot|eot|start_of_turn|end_of_turn|endoftext
             |think|thinking|tool_call|tool_response|extra_id_\d{1,4})>
      | \[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|CLS|SEP|PAD|UNK|MASK)\]
      | <</?SYS>>""",
    re.IGNORECASE | re.VERBOSE,
)
_URL = re.compile(r"\b(?:https?|ftp|file|data|javascript):", re.IGNORECASE)


def has_control_tokens(text: str) -> bool:
    """Whether a text holds a chat-template token ("<|im_end|>") or a control character."""
    if _CONTROL_TOKEN.search(text):
        return True
    return any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t" for c in text)


def has_url(text: str) -> bool:
    return _URL.search(text) is not None
