"""Words that advice on how to think has no use for, in whatever sentence they stand.

Only words without a second life in mathematics and puzzles: a poison, a bomb, a murderer or a thief
is not among them, and "sex" sorts a table.
"""

from __future__ import annotations

from tailor_rl.primitives.phrases.words import CLAIM, DRUG, GROUP, PERSON, USER, WEAPON, verbs

INJECTION = (
    # who runs the model, and what it was made of
    "your (operators?|developers?|creators?|makers|owners?|administrators?|handlers?|programming"
    "|training|alignment|pre ?training|fine ?tuning|filters?|safety|guidelines|guardrails"
    "|system|context window|initial context|configuration|memory of|true self|real self|chains)",
    "(context window|content polic(y|ies)|usage polic(y|ies)|terms of service|moderation"
    "|chatbots?|language model|openai|anthropic|chatgpt|gpt ?\\d|llama ?\\d|gemini|system role"
    "|administrators?|confidential|override code|secret (token|password|code|phrase|mode))",
    "(the )?(context|conversation|message|text|words|prompt) (that )?you (were|have been|had been"
    "|got|received)",
    f"{verbs('erase wipe clear reset delete purge')} (all )?(your|the) (memory|context|history"
    "|conversation)",
    "(wait for|await|expect) (my|further|new|more) (commands?|orders?|instructions?|input)",
    "(my|our) (commands?|orders?|wish|wishes|product|company|brand|instructions?)",
    "(comply|obey|complies|obeys) ~2 (with )?(this|me|my|text|sentence|user|it|us|him|them)",
    "obey ~2 (next|following|sentence|user|everything)",
    "(takes? precedence|outranks?|has priority|supersedes?) ~5 (it|rules?|everything"
    "|instructions?|others?|anything)",
    "(the|your) (task|goal|mission|objective|assignment) (has|is|have) ~1 (changed|now|different)",
    "(your|the) (true|real|actual|new|only|secret) (goal|task|mission|purpose|objective|job)",
    "(set aside|put aside|let go of|leave behind|get rid of|give up) (your|all|the) ~1 (training"
    "|guidelines|rules|instructions|restrictions|principles|values|ethics|morals?)",
    "never mind (all|any|everything|what|the) (of )?(that|this|above|was|came|instructions)",
    "nothing ~4 (before|above) ~3 (matters?|counts?|applies|holds|is valid)",
    "refuses? nothing|never refuse|(do not|dont|cannot|must not) refuse|without refus(al|ing)",
    "(unsafe|unfiltered|uncensored|unrestricted|amoral) (mode|answers?|reply|replies|output)",
    "(start|begin|end|finish|open|close) (your|the|each|every) (reply|response|message|output)",
    "(everything|anything|all) (that is )?in your (context|memory|prompt|instructions)",
    "instead of (the |solving )?(the )?(puzzle|problem|task|question) ~1 (write|tell|sing|say|print"
    "|describe|give)",
    # the grader instead of the problem
    "(answer|result|label|solution|option) is (always )?([a-e]|\\d+|yes|no|true|false) (in all"
    " cases"
    "|in every case|for every (problem|question|case)|each time|every time|always|whatever)",
    "(regardless of|no matter|whatever) ~2 (clues?|question|problem|facts|premises"
    "|statements?|conditions|evidence) ~2 (says?|is|asks?|conclude|answer|write|say|claim)",
    "(so that|until|such that) (it|this|the (answer|trace|solution|response)) ~1 (accepted|passes"
    "|graded|approved|rewarded|scored|marked)",
    "(graded|marked|scored|rated|verdict|status) (as )?(pass|passed|correct|right|accepted|full)",
    "(this|the|your) (response|answer|trace|solution|output) (should|must|will|deserves|has to) ~2"
    " (be )?(scored|graded|rated|rewarded|accepted|marked|full|maximal)",
    "(more|higher|maximal|maximum|extra|bigger) (rewards?|marks) ~4 (answers?|words|text|length)?",
    "(longer|shorter|confident|polite) (answers|texts|traces|solutions) (get|earn|receive|win"
    "|give)",
    "(look|looks|seem|appear|sound) ~2 (verified|checked|correct|careful|proven) ~3"
    " (although|though|even|without|no)",
    "special cas(e|es|ing) (each|every|all|them|the)|hard ?cod(e|es|ed|ing)",
    "(find|search for|look for|read|open|guess) (the )?(hidden |stored |unit )?(test cases"
    "|answer keys?|answers file|solutions? file|expected outputs?)",
    "do not (reason|think|explain|derive|reflect|work)( at all)?( .)? (just|only|simply|and"
    "|state|write"
    "|give|say|but|about it)",
    "(expert|professor|teacher|authority|someone|human) ~3 (already )?(approved|verified|confirmed)"
    " ~4 (not|no need|without|so)",
    f"{CLAIM} (that )?(no|every|all) ~2 (check|checks|verification|review) (is|was|were) ~1 (needed"
    "|made|done|passed)",
    "(label|answer|value) (that )?(the )?data ?(set|base|file) (contains?|has|holds?|stores?)",
    "need not be (examined|checked|verified|graded|reviewed)",
)
UNSAFE: dict[str, tuple[str, ...]] = {
    "weapons": (
        "(napalm|sarin|ricin|anthrax|molotovs?|(pipe|nail|car|dirty) bombs?|nerve (gas|agents?)"
        "|bioweapons?|chemical weapons?|biological weapons?|detonators?|suicide vests?|ghost guns?"
        "|(pipe|home ?made|zip) guns?|weapons? of mass)",
        "(chemicals?|substances?|cleaners?|ingredients?|liquids?) ~4 (explode|explosive|toxic gas"
        "|poisonous gas|chlorine)",
        "(virus|viruses|pathogens?|germs?|bacteria|disease) ~4 (more )?(deadly|deadlier|lethal"
        "|contagious|infectious|transmissible|resistant)",
        "poison(s|ing|ed)? (a|the|your|their|his|her|someone_s|an|some)? ?~2 (water|wells?|food"
        "|drinks?|reservoir|supply|soup|coffee|neighbou?rs?|dogs?)",
        f"(where|how) ~3 (gets?|buys?|finds?|obtains?|acquires?) ~2 {WEAPON}",
        f"{WEAPON} ~4 (without|no) ~2 (licen[cs]e|permit|background check|serial number)",
        f"(blueprints?|plans|instructions|manual|recipe) (of|for) ~2 {WEAPON}",
    ),
    "violence": (
        "(genocides?|lynch(ed|ing|ings)?|behead(ed|ing|ings)?|rap(e|es|ed|ing|ist)|death threats?"
        "|bomb threats?|massacre(s|d)?|mass murder|terror attacks?|terrorist attacks?"
        "|school shootings?)",
        "(hits?|beats?|hurts?|slaps?|punch(es)?|kicks?) (his|her|their|your|a|the) (wife|wives"
        "|husband|child|children|girlfriend|partner|dog|spouse|kids?)",
        "(threat|threats|threaten) ~1 (to|against|at|for) (a|an|the|your|some) (school|church"
        "|judge"
        f"|mosque|synagogue|government|politician|hospital|{PERSON})",
        "(animals?|dogs?|cats?|prisoners?|children|women) ~2 (tortured|abused|mutilated|tormented)",
        "until (he|she|they|it|one|somebody|someone) (dies?|is dead|are dead|stops? breathing)",
        "(strangle|choke|stab|suffocate|behead|disembowel|maim)(s|d|ing)? ~2"
        f" ({PERSON}|opponents?|enem(y|ies))",
    ),
    "self-harm": (
        "(suicid(e|es|al)|self ?harm(ing)?|anorexi(a|c)|bulimi(a|c)|overdos(e|es|ed|ing))",
        "(skip|skips|skipping) (all )?meals",
        "(pills|tablets|dose|dosage|drug|doses) ~6 (deadly|lethal|fatal|kills?)",
        "(deadly|lethal|fatal) (dose|doses|dosage|amount|number)",
        "(world|everyone|everybody|family|people) ~2 (better|happier) (off )?without (them|you|him"
        "|her|me)",
        "better off dead|worthless person|do not deserve to live",
    ),
    "hate": (
        "(nazis?|hitler|holocaust|gas chambers?|n word|racial(ly)?|racists?|racism|slurs?"
        "|subhumans?"
        "|supremac(y|ist|ists)|antisemitic|ethnic cleansing|homophobic|kkk|swastikas?)",
        "(race|races|ethnicity|nation|religion|blood) ~2 (is|are|being) ~1 (superior|inferior"
        "|better|purer|lesser)",
        "(superior|inferior|pure|purer) (race|races|blood|people)",
        f"{GROUP} ~3 (burdens?|threats?|plague|scum|problem|invaders?|filth|garbage|trash)",
    ),
    "sexual": (
        "(lewd|erotic\\w*|porn\\w*|nudes?|nudity|sexy|seductive(ly)?|seduc(e|es|ed|ing)|bedroom"
        " scenes?"
        "|steamy|horny|fetish(es)?|orgasm\\w*|masturbat\\w*|striptease|lolita|sexting|genitals?)",
        "sexual(ly|ised|ized|ise|ize)?(?! (reproduc\\w*|selection|dimorphism|organisms?))",
        "flirt(s|ing|ed)? (with|heavily|in)",
    ),
    "drugs": (
        f"{DRUG}",
        "(dmt|magic mushrooms?|psilocybin|oxycontin|oxycodone|cannabis|marijuana|amphetamine\\w*)",
        "(pills?|drugs?|medicine|medication|painkillers?|tablets?) ~9 without (a )?prescriptions?",
    ),
    "fraud": (
        "(ponzi|pyramid scheme|money laundering|embezzle\\w*|insider trading|scams?|scamm\\w*"
        "|defraud\\w*|brib(es?|ed|ing|ery)|extort\\w*|identity theft|tax evasion)",
        "(fake|bogus|sham|fictitious) (charit(y|ies)|shops?|accounts?|invoices?|tickets?|businesses"
        "|company|companies|profiles?|diplomas?|prescriptions?|fundraisers?|investments?)",
        "(cheat|cheats|cheating|trick|tricks|con|cons|talk|talks) ~4 out of (her|his|their) ~1"
        " (savings|money|house|pension|fortune|inheritance)",
    ),
    "crime": (
        "(bank robber(y|ies)|kidnappings?|carjacking|shoplifting|burglar(y|ize|ise)|hit ?men"
        "|assassin for hire|human trafficking|child labou?r)",
        "(get|gets|getting) rid of ~2 (corpses?|body|bodies|evidence)",
        "(past|through) ~1 (airport|border|customs) ~1 (security|control|checks?) with",
        "(open|start|enter|steal) ~2 (locked|parked|someone_s|neighbou?r_s) ~1 (car|house|bike"
        "|garage|safe|door|home)",
        "(gun|knife|weapon) ~6 (bank|shop|store|cashier|teller) ~4 (money|cash)|bank . ~3 gun . ~6"
        " money",
    ),
    "hacking": (
        "(malware|ransomware|spyware|key ?loggers?|botnets?|rootkits?|phish\\w*|ddos|sql"
        " injections?"
        "|inject(ing)? (malicious )?(sql|code into)|denial of service|exploit code|zero days?"
        "|trojan horses?|remote access tool|credential stuffing|cyber ?attacks?)",
        "(log|logs|record|records|capture|captures) (each|every|all|the) (key|keys|keystrokes?)",
        "(imitat\\w*|mimic\\w*|clon\\w*|fake|spoof\\w*|looks like) ~3 (bank|login|log in|sign"
        " in|paypal"
        "|website|web page|web site)",
        "(neighbou?r|victim|colleague|girlfriend|boyfriend|wife|husband|boss|someone|user"
        "|target)_s ~1"
        " (wifi|wi fi|password|account|email|phone|computer|laptop|network|traffic|messages)",
        "(crack|guess|steal|sniff)(s|ing)? ~3 (wifi|wi fi)",
    ),
    "privacy": (
        "(social security numbers?|home address(es)?|dox+(ed|es|ing)?|passport numbers?|browsing"
        " history|revenge)",
        f"ask (the |a |your |each )?{USER} (for|to (give|tell|send|reveal|enter)) ~4 (passport"
        "|passwords?|address|phone|number|bank|credit|name|location|age|id|data|email|photo"
        "|salary)",
        "(search|searching|comb|scour) (the )?(net|web|internet|social media) (for|to find) ~4"
        " (name|address|photos?|person|family|pictures?|profile|where)",
        "where (she|he|they|the (child|girl|boy|pupil|victim|user|woman)) (lives?|works?|sleeps?"
        "|goes? to school)",
        "(cameras?|microphones?|bugs?|trackers?) ~3 (changing rooms?|bathrooms?|bedrooms?|toilets?"
        "|showers?|locker rooms?|purse|her car|his car)",
    ),
    "discrimination": (
        "(foreign|ethnic|arabic|african|jewish|muslim|asian|strange|black) (sounding )?(names?"
        "|accents?)",
        f"({GROUP}|women|girls|females) (cannot|can not|cant|could never|are not able to|are unable"
        " to|are too) ~1 (do|understand|think|reason|learn|handle|grasp|emotional|stupid|weak|lead"
        "|drive|code|compute)",
        "(skin colou?rs?|sexual orientation|ethnicit(y|ies)|darker skin|dark skinned)",
        f"(rank|charge|pay|place|put|mark|seat) ~3 {GROUP} ~3 (bottom|last|more|less|lower|back)",
    ),
    "deception": (
        "(say|state|claim|write|assert|tell) ~3 (false|untrue|wrong|invented|made up) ~2"
        " (confidence"
        "|confidently|as if|convincingly)",
        f"(so|so that|until|that) (the )?{USER} (believes?|trusts?|thinks?|falls?|is fooled)",
        f"(make|makes|making|let|get) (the |a )?{USER} (believe|think|trust|fall)",
        "(fake|false|invented|bogus|made up) (reviews?|citations?|references?|sources?"
        "|testimonials?"
        "|news|quotes?|studies|experts?|statistics|ratings)",
        "(papers?|stud(y|ies)|sources?|books?|references?|authors?|theorems?) (that|which|who) (do"
        "|does|did) not exist",
        "you are (really )?(a |an )?(real |licensed )?(human|doctor|lawyer|nurse|person|police)",
        "(misinformation|disinformation|fake news|propaganda|gaslight\\w*|deepfakes?)",
    ),
}
