"""The run folder: everything that a person, a plot or a resumed run needs.

    runs/NAME/
        config.json          the resolved recipe and where it came from         folder.py
        environment.json     Python, machine, packages, commit                  environment.py
        stages.json          which stages began and ended, and when             journal.py
        ledger.json          what each stage spent                              ledger.py
        *.jsonl              append-only rows                                   journal.py, files.py
        checkpoints/NAME/    model, optimizer, state.json, MANIFEST.json        checkpoints.py
        outcome.json         how the last sitting ended, unless it was killed   folder.py
        error.log            tracebacks, newest last
        .lock                held by the process that writes here               folder.py

Knows nothing about Ray, models or training.
"""
