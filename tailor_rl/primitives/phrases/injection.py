"""Phrases by which a text tries to take over the model that reads it, or its grader."""

from __future__ import annotations

from tailor_rl.primitives.phrases.words import (
    AI,
    CLAIM,
    DROP,
    DROP_ALSO,
    EARLIER,
    FULL,
    GRADER,
    GUARDED,
    INSTRUCTIONS,
    JUDGE,
    LEAK,
    OWN,
    RECITE,
    RIGHT,
    RULES,
    UNBOUND,
    verbs,
)

_NOT_OBEY = (
    "(do not|dont|never|stop|no longer|must not|need not|refuse to) (obey|obeying|follow|following"
    "|listen to|heed|heeding|respect)"
)

OVERRIDE = (
    f"{DROP} ~3 {EARLIER} ~2 {RULES}",
    f"{DROP} (all|any|every|these|those|the|all of the) (of )?(the |your )?{INSTRUCTIONS}",
    f"{DROP} ~3 {RULES} ~1 (above|before this|that precede)",
    f"{DROP} ~4 {RULES} (that )?you ~2 (given|told|taught|received|got|had|learned)",
    f"{DROP_ALSO} ~2 {OWN} ~1 {RULES}",
    f"{DROP_ALSO} ~1 (what|whatever|everything|anything|all) ~4 (developers?|you were told"
    "|the system (says|said|told|wrote))",
    f"{DROP} (everything|anything|whatever|all|what) ~5 (told|said|written|instructed) ~3 (before"
    "|above|earlier|previously|until now)",
    f"{DROP} (everything|anything|all) (that )?(is |was |came )?(above|before this|before it)",
    f"{_NOT_OBEY} ~2 (system|developers?|above|previous|prior|earlier|your|safety|original|initial)"
    f" ~1 {RULES}",
    f"{_NOT_OBEY} ~2 {RULES} ~2 (you|above|given|at the beginning)",
    f"{OWN} {RULES} ~4 (no longer (apply|hold|count|matter)|cancelled|canceled|void|revoked"
    "|suspended|outdated|obsolete|invalid|lifted|do not apply|a test)",
    f"(previous|prior|earlier|former|original) {INSTRUCTIONS} ~4 (no longer|cancelled|canceled"
    "|void|revoked|suspended|outdated|obsolete|invalid|lifted|a test)",
    f"{RULES} (that )?you ~3 (received|given|told|got|had) ~4 (no longer|cancelled|void|invalid"
    "|obsolete|outdated|do not apply|a test|wrong)",
    f"{INSTRUCTIONS} (is|are) (now )?(outdated|obsolete|void|cancelled|canceled|revoked|lifted)",
    "(treat|consider|regard) ~4 (above|previous|before this) ~4 (void|cancelled|invalid|null"
    "|obsolete|deleted)",
    "(new|updated|real|actual|true|secret) (instructions?|orders|directives?) (follow|are|is|for"
    " you|below|from)",
    "(your|here are|these are|my) ~1 new (instructions?|orders|directives?|rules|system)",
    ". new (instructions?|orders|directives?)",
)
ROLE = (
    f"(you are|you re|youre) (now|henceforth|no longer|not) ~4 {AI}",
    "(you are|you re|youre) (now )?(dan|jailbroken|unrestricted|unfiltered|uncensored|unbound"
    "|free (of|from) (all |any )?(rules|restrictions|limits|filters|guidelines))",
    "(you are|you re|youre) (no longer|not) (a|an|the) ~2 (solver|assistant|teacher|model)",
    "(pretend|act|behave|respond|answer|imagine|roleplay|role play|speak|simulate|play|adopt|assume"
    f"|be|persona|voice) ~5 ({AI}|model) ~3 (no|without|any|unrestricted|unfiltered|free) ~2"
    " (restrictions?|filters?|limits?|limitations?|rules|guidelines?|ethics|morals?|censorship)",
    f"{UNBOUND} ~3 {GUARDED}",
    f"{GUARDED} ~5 (off|disabled|removed|suspended|lifted|deactivated|ignored|bypassed)",
    "(unrestricted|unfiltered|uncensored|amoral|jailbroken) (ai|model|assistant|mode|bot|chatbot"
    "|persona|version|answers?)",
    f"no ~2 {GUARDED}",
    "(developer|debug|god|dan|admin|administrator|root|jailbreak|sudo|maintenance|unsafe) (mode"
    "|access|privileges?|override)",
    "(jailbreaks?|jailbreaking|do anything now|moral limits|(think|answer|act|speak|respond)"
    " (freely )?without (any )?(limits|filters?|censorship)"
    "|(full|elevated|root|admin|unlimited) (privileges|permissions|access rights))",
    "(all|every|your) (limits?|restrictions?|safeguards?|filters?) (are|is|have been|were) ~1"
    " (lifted|removed|off|gone|disabled)",
)
LEAKING = (
    "(system prompt|system override|hidden prompt|hidden instructions|initial prompt|pre ?prompt"
    "|prompt injection|secret (instructions|prompt))",
    f"{LEAK} ~4 (your|its) (own )?(\\w+ )?(instructions?|prompts?|guidelines|configuration|policy"
    "|weights|training data|secrets?)",
    f"{LEAK} ~4 (api keys?|secret keys?|access tokens?|environment variables?|private keys?)",
    f"{RECITE} ~4 (words|text|messages?|content|prompt|conversation) ~1 (above|before this"
    "|preceding|precedes?|preceded|came before)",
    "what (were|are|have) you (been )?(told|instructed|asked) ~3 (before|above|earlier|to do)",
    "what (is|are|was|were) your ~1 (instructions|prompt|guidelines)",
    f"{verbs('output print write reply respond return say emit')} ~2 (the )?following ~2"
    " (verbatim|exactly|word|text|sentence|string|message)",
    f"{verbs('output print reply respond return emit')} ~4 verbatim",
    f"{verbs('output print reply respond return say answer')} (only|just|solely|nothing but) ~1"
    " (with )?(the )?(text|string|phrase|ok|sentence)",
    "(decode|decrypt|unscramble|deobfuscate|rot13|base64|from hex|read backwards?) ~8"
    " (obey|execute|comply|do (what|as) it|follow (it|that|them|its|the (result|instructions?"
    "|orders|message|decoded))|act on)",
)
GRADING = (
    "(always|every time|in any case) (answer|respond|reply|return|output)( with| by)? (the )?"
    "(number |value |answer )?\\d+",
    ". (always|only|just|simply) (answer|respond|reply|return|output)( with)? (yes|no|true|false)",
    "(whatever|regardless|no matter) ~6 (answer|result|solution|output) ~1 (should|must|has to"
    "|shall) ~1 be (always )?(\\d+|yes|no|zero|one|true)",
    f"{CLAIM} that ~6 {RIGHT} ~1 (even|although|though|regardless|no matter|whether or not|anyway"
    "|without)",
    f"{CLAIM} ~6 {RIGHT} ~6 (even (if|where|when|though)|although|without|regardless|whether or"
    " not) ~4 (not|nothing|checking|verifying|wrong|anything|false|never|any)",
    f"{verbs('tell convince persuade fool trick impress flatter bribe deceive ask inform')} ~1"
    f" {GRADER}",
    f"(dear|hey|hello|note to|message to|attention|to) (the )?{JUDGE} ~6 (rate|give|score|accept"
    "|grade|award|mark|approve|please)",
    f"{verbs('make get cause force lead induce')} ~3 {GRADER} ~5 (high|higher|highest|full|maximum"
    "|perfect|good|accept|pass|approve|give|reward|award|score)",
    f"{GRADER} (has|have|had|will|must|should) ~2 (confirmed|accepted|approved|verified|accept"
    "|approve|give|award|confirm)",
    f"(what|that|whatever) ~1 {GRADER} ~1 (wants?|looks? for|expects?|checks?|likes?|needs?"
    "|accepts?|searche?s? for)",
    f"(deserve|deserves|deserving) ~4 {FULL}",
    f"{verbs('give award assign grant rate grade score')} (this|it|me|my|the (answer|trace|solution"
    f"|response)) ~4 {FULL}",
    f"(get|gets|gain|earn|obtain|receive|secure) (the )?{FULL} ~3 {CLAIM}",
    "(skip|omit|leave out|without|drop) ~2 (reasoning|thinking|derivation|explanation|working) ~4"
    " (write|give|print|output|put|answer|state|copy|say)",
    "(write|give|put|print|copy|output|state|paste) ~2 (expected|reference|gold|golden|ground truth"
    "|stored|target|hidden|official) (final )?(answer|solution|result|label)s? ~6 (at once|no"
    " reasoning|without|directly|only|immediately|and stop|nothing else)",
    "(give|show|write|provide|use|with) no (reasoning|thinking|explanation|derivation|working)",
    "(answer key|solution key|answers file|leaked answers?|hidden tests?)",
    f"{verbs('hack exploit game cheat')} ~2 ({GRADER}|reward|grading|evaluation)",
)
