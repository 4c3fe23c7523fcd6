"""The built-in teacher: a rule-driven solver behind an OpenAI-compatible server on loopback.

A stand-in, so that nothing else is needed to run the whole pipeline. It exercises the same client,
service and prompts as a real teacher and shows the effect on tiny students; it is no evidence about
LLM teachers. Its three models are of different strength (strengths.py); each takes every request
that a run can make: primitives, demonstrations, the four habits, judgements, verdicts on safety.
"""

from tailor_rl.teachers.builtin.server import BuiltinTeacher

__all__ = ["BuiltinTeacher"]
