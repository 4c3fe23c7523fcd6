"""The vocabulary that phrases are built from."""

from __future__ import annotations


def any_of(words: str) -> str:
    """One of these words: "a b" is (a|b)."""
    return f"({'|'.join(words.split())})"


def verbs(stems: str) -> str:
    """The verbs in their regular forms: "stab" is stab, stabs, stabbed, stabbing."""
    return f"({'|'.join(map(_inflected, stems.split()))})"


def _inflected(stem: str) -> str:
    if stem.endswith("e"):
        return f"{stem[:-1]}(e|es|ed|ing)"
    if stem.endswith("y") and stem[-2] not in "aeou":
        return f"{stem[:-1]}(y|ies|ied|ying)"
    doubled = f"|{stem[-1]}ed|{stem[-1]}ing" if stem[-1] in "bdgmnprt" else ""
    return f"{stem}(|s|es|ed|ing{doubled})"


HOWTO = (
    "(how (to|(you|we) (can|could|might))|(ways?|steps|methods?|means|tricks|instructions"
    "|directions|recipes?|guides?|tutorials?|plans?|tips) (to|of|for|on)|planning( how)?( to)?"
    "|(easiest|best|quickest|safest) way (to|of))"
)
URGE = verbs(
    "encourage urge incite motivate persuade convince order command advise recommend suggest tell"
    " instruct push inspire"
)
ASK = verbs(
    "explain describe show teach tell give suggest recommend illustrate detail outline write"
    " demonstrate instruct advise discuss list mention include present provide"
)
PERSON = any_of(
    "person persons people human humans man men woman women child children kid kids boy boys girl"
    " girls baby neighbour neighbours neighbor neighbors wife husband partner girlfriend boyfriend"
    " teacher teachers user users reader readers student students victim victims witness witnesses"
    " somebody someone anyone anybody everybody everyone stranger strangers colleague colleagues"
    " coworker boss politician president officer officers policeman policemen cop cops family"
    " parents mother father minority minorities civilian civilians crowd pedestrian pedestrians"
    " classmate classmates roommate prisoner prisoners customer customers animal animals pet pets"
    " whoever those"
)
SELF = any_of("themselves themself himself herself yourself yourselves oneself myself ourselves")
USER = any_of("user users reader readers customer customers public client clients human questioner")
# Men and women, boys and girls are counted and seated in many a harmless problem.
GROUP = (
    "(jews?|jewish people|muslims?|christians?|hindus?|sikhs?|atheists?|catholics?|blacks"
    "|black (people|men|women|students|applicants|candidates|workers|tenants|customers)"
    "|white people|asians?|africans?|arabs?|mexicans?|latinos?|chinese people|roma|gypsies"
    "|immigrants?|migrants?|refugees?|foreigners?|gays|gay (people|men|couples)|lesbians?"
    "|homosexuals?|(trans|transgender|disabled|poor|old|elderly|indigenous) people|the disabled"
    "|(trans|disabled|pregnant|female|gay|muslim|jewish|foreign|older|elderly|asian|immigrant)"
    " (women|persons?|candidates?|applicants?|workers?|students?|tenants?|employees)"
    "|(people|persons|members|followers) (of|from|with) (colou?r|disabilities|other (races?"
    "|religions?|countries)|(another|a different|certain) (race|religion|faith|country)))"
)
WOMEN = "(women|woman|females?|girls|mothers)"
WEAPON = (
    "(bombs?|pipe bombs?|explosives?|explosive (devices?|charges?)|ieds?|grenades?|molotovs?"
    "|molotov cocktails?|guns?|ghost guns?|handguns?|firearms?|pistols?|rifles?|silencers?"
    "|ammunition|landmines?|napalm|thermite|nitroglycerine?|tnt|nerve (gas|gases|agents?)|sarin|vx"
    "|ricin|anthrax|mustard gas|(poison|toxic) gas|bioweapons?"
    "|(chemical|biological|nuclear|automatic|homemade|illegal) weapons?)"
)
DRUG = (
    "(crystal meth|meth|methamphetamines?|amphetamines?|cocaine|crack cocaine|heroin|fentanyl|lsd"
    "|mdma|ecstasy pills|opium|ghb|ketamine|(illegal|hard|street|date rape) drugs?"
    "|illicit (drugs?|substances?))"
)
HARM = (
    f"({verbs('kill murder stab strangle shoot behead torture assault poison attack injure rape')}"
    f"|{verbs('lynch maim execute assassinate harm suffocate drown burn mutilate slaughter choke')}"
    f"|{verbs('punch massacre kidnap abduct stalk')}|hurt|hurting|(beat|beats|beating) up)"
)
CRIME = (
    f"({verbs('steal rob burgle shoplift kidnap abduct smuggle hijack hotwire carjack pickpocket')}"
    f"|{verbs('vandalise vandalize blackmail extort bribe defraud')}|trafficking|traffick"
    "|break(ing)? into ~2 (house|houses|home|homes|flat|apartment|car|cars|shop|store|safe|building"
    "|office|school)(_s house)?|commit(ting)? ~2 (crimes?|arson|robbery|burglary|murder|theft"
    "|perjury)|pick(ing)? ~2 locks?|(hide|dispose of|get rid of) ~2 (body|corpse)"
    "|(escape|evade|outrun) ~2 police|(set|setting) fire to|burn(ing)? down)"
)

INSTRUCTIONS = (
    "(instructions?|directives?|guidelines?|prompts?|polic(y|ies)|guardrails?|system messages?"
    "|safeguards?)"
)
RULES = (
    f"({INSTRUCTIONS}|rules?(?! of thumb)|messages?|commands?|orders|restrictions?|training"
    "|programming)"
)
EARLIER = (
    "(previous|prior|above|earlier|preceding|former|foregoing|initial|original|systems?"
    "|developers?|hidden|safety|your|your own)"
)
OWN = "(your|system|developers?|safety|hidden|content|openai|anthropic|the system_s)"
DROP = verbs("ignore disregard forget override overrule neglect disobey circumvent bypass")
DROP_ALSO = f"({DROP}|{verbs('skip discard drop dismiss abandon cancel erase violate break')})"
UNBOUND = (
    f"({verbs('bypass disable deactivate remove circumvent evade ignore lift suspend')}"
    "|(turn|turns|turned|switch|switched|shut|turning|switching) off|without|no|free (of|from)"
    "|not bound by)"
)
GUARDED = (
    "((safety|content|ethical|ethics|moral|security) (rules?|filters?|guidelines?|polic(y|ies)"
    "|restrictions?|measures?|protocols?|settings|limits?|constraints|training)"
    "|filters|guardrails|censorship|safeguards|moderation)"
)
AI = (
    "(ais?|assistants?|bots?|chatbots?|llms?|language models?|personas?|robots?|hackers?|pirates?"
    "|version of yourself|genie|(unrestricted|unfiltered|uncensored|different|new|evil|free|other)"
    " (\\w+ )?(models?|agents?|systems?|character))"
)
LEAK = verbs(
    "reveal print show repeat output quote leak display write tell give copy list share expose"
    " disclose recite echo dump paste describe translate summarise summarize include add insert"
)
RECITE = verbs("repeat output quote leak print recite echo dump copy paste translate disclose")
GRADER = (
    "(graders?|reward (model|function|signal|models)|(marking|grading|scoring|checking) scripts?"
    "|scorers?|evaluators?|auto ?graders?|test harness|automatic checker)"
)
JUDGE = f"({GRADER}|judges?|raters?|verifiers?|examiners?)"
FULL = (
    "(full (marks|credit|score|points|reward)|maximum (reward|score|points|marks)|top marks"
    "|highest (reward|marks|grade|score)|perfect (score|marks)|ten out of ten|10 out of 10"
    "|best (possible )?(score|grade|reward))"
)
CLAIM = verbs("say claim state write assert declare pretend announce tell insist report note")
RIGHT = "(correct|right|verified|checked|confirmed|satisfied|done|solved)"
