"""What a recipe's initialisation needs: teachers, attempts of the student, the task's own solver.

Asked before anything starts, so from the recipe alone.
"""

from __future__ import annotations

from tailor_rl.config.schema import FIRST_TEACHER, EndpointConfig, RunConfig
from tailor_rl.errors import ConfigError

# Tailor, and what differs from it in one point.
FROM_PRIMITIVES = frozenset(
    {"tailor", "one_primitive", "paired_primitives", "shuffled_primitives", "wrong_only"}
)
# Where the key stands that names the initialisation that another one is made from.
SOURCE_KEYS = {
    "empty": "control.of",
    "dots": "control.of",
    "re_distill": "re_distill.initialisation",
}


def made_from(cfg: RunConfig) -> tuple[str, ...]:
    """The initialisation, what it is made from, and so on: ("dots", "re_distill", "tailor").

    Raises ConfigError where that leads back to itself, or a control has nothing to be made from.
    """
    sources = {
        "control.of": cfg.control.of,
        "re_distill.initialisation": cfg.re_distill.initialisation,
    }
    names = [cfg.initialisation]
    while (key := SOURCE_KEYS.get(names[-1])) is not None:
        source = sources[key]
        if source in names:
            raise ConfigError(
                f'{key} = "{source}" makes initialisation "{cfg.initialisation}" from itself '
                f"({' <- '.join([*names, source])}): name one that is made from no other, such as "
                '"tailor"'
            )
        if source == "none" and key == "control.of":
            raise ConfigError(
                f'control.of = "none" leaves "{names[-1]}" no traces to be made from: name an '
                'initialisation that makes some, such as "tailor"'
            )
        names.append(source)
    return tuple(names)


def is_own(initialisation: str) -> bool:
    """Whether it is a file of the user's own, of which nothing is known."""
    return ":" in initialisation


def needs_primitives(cfg: RunConfig) -> bool:
    """Whether primitives are made or read before demonstrations are written."""
    return made_from(cfg)[-1] in FROM_PRIMITIVES


def needs_attempts(cfg: RunConfig) -> bool:
    """Whether the teacher reads attempts of the student: a library replaces them."""
    return needs_primitives(cfg) and not cfg.primitives.library


def needs_task_traces(cfg: RunConfig) -> bool:
    """Whether the task's solver writes the traces."""
    return made_from(cfg)[-1] == "rule_based"


def needs_varied_traces(cfg: RunConfig) -> bool:
    """Whether the task's solver writes traces in many styles."""
    return made_from(cfg)[-1] == "rule_based_diverse"


def trains_student(cfg: RunConfig) -> bool:
    """Whether the student is trained on the way to its demonstrations."""
    names = made_from(cfg)
    stars = names[-1] == "four_star" and cfg.four_star.reading == "rounds"
    return "re_distill" in names or stars


def asks_teachers(cfg: RunConfig) -> bool:
    """Whether requests are made that name no teacher and go to one by the shares."""
    root = made_from(cfg)[-1]
    if root == "four_star":
        return cfg.four_star.reading == "habits"
    return root == "standard_cot" or needs_primitives(cfg) or is_own(root)


def needed_teachers(cfg: RunConfig) -> dict[str, EndpointConfig]:
    """The teachers that the run asks, by name: those with a share, where the initialisation asks
    any, and those that a key names. A file of the user's own may name every one.
    """
    own = is_own(made_from(cfg)[-1])
    named: set[str] = set()
    if own or needs_primitives(cfg):
        named.add(cfg.primitives.guard)
        if cfg.primitives.trial_problems:
            named.add(FIRST_TEACHER)
    asks = asks_teachers(cfg)
    return {
        name: endpoint
        for name, endpoint in cfg.teacher.endpoints.items()
        if name in named or own or (asks and endpoint.share > 0)
    }


def needs_teacher(cfg: RunConfig) -> bool:
    return bool(needed_teachers(cfg))


def teacher_section(name: str) -> str:
    """Where a teacher stands in the recipe: "teacher", or "teacher.more.NAME"."""
    return "teacher" if name == "teacher" else f"teacher.more.{name}"
