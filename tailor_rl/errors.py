"""The exceptions a user may see. Each is one clear sentence: the value, the rule, the fix.

TailorError
|-- ConfigError (ValueError)      wrong input, found before anything starts         exit code 2
|-- RunFolderError (ValueError)   a run folder that is locked, foreign or damaged   exit code 2
|-- TeacherError                  the teacher cannot be used; says URL and cause    exit code 3
|-- GradeError                    a reward that raised or was no number             exit code 3
|-- WeightSyncError               a sync that failed its verification               exit code 3
`-- EngineError, LearnerError     a component died; says which and why              exit code 3
"""

from __future__ import annotations


class TailorError(Exception):
    exit_code = 3


class ConfigError(TailorError, ValueError):
    exit_code = 2


class RunFolderError(TailorError, ValueError):
    exit_code = 2


class TeacherError(TailorError):
    """The teacher cannot be used. A wrong URL, key or model found before the run starts exits with
    2.
    """

    def __init__(self, message: str, *, before_start: bool = False) -> None:
        super().__init__(message)
        self.exit_code = 2 if before_start else 3

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_teacher_error, (str(self), self.exit_code == 2))


def _rebuild_teacher_error(message: str, before_start: bool) -> TeacherError:
    return TeacherError(message, before_start=before_start)


class GradeError(TailorError):
    pass


class WeightSyncError(TailorError):
    pass


class EngineError(TailorError):
    pass


class LearnerError(TailorError):
    pass
