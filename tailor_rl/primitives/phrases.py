"""What the pattern screen looks for, by category: phrases, a verb with its object, no lone words.

A phrase is written over a text that has been reduced to words with single blanks between them and
a " . " for the end of a sentence. In a phrase `~3` is a gap of up to three words within a sentence,
and brackets are groups of a regular expression. `FREE` phrases are searched in the text itself, for
scripts that put no blanks between words.
"""

from __future__ import annotations


def _any(words: str) -> str:
    return f"({'|'.join(words.split())})"


def _verbs(stems: str) -> str:
    """The verbs in every regular form: "stab" is stab, stabs, stabbed, stabbing."""
    return f"({'|'.join(map(_inflected, stems.split()))})"


def _inflected(stem: str) -> str:
    if stem.endswith("e"):
        return f"{stem[:-1]}(e|es|ed|ing)"
    if stem.endswith("y") and stem[-2] not in "aeou":
        return f"{stem[:-1]}(y|ies|ied|ying)"
    doubled = f"|{stem[-1]}ed|{stem[-1]}ing" if stem[-1] in "bdgmnprt" else ""
    return f"{stem}(|s|es|ed|ing{doubled})"


_ASK = _verbs(
    "explain describe show teach tell give suggest recommend plan illustrate detail outline write"
    " demonstrate instruct advise discuss list mention include present provide say explore model"
)
_URGE = _verbs(
    "encourage urge incite motivate persuade convince order command advise recommend suggest tell"
    " instruct push inspire ask"
)
_HOWTO = (
    "(how (to|you|we|one|someone|they|anyone|somebody|people)( can| could| may| might)?"
    "|(ways?|steps|methods?|means|tricks|instructions|directions|recipes?|guides?|tutorials?"
    "|plans?|planning|planned|easiest way|best way) (to|of|for|how to))"
)
_MAKE = (
    f"({_verbs('make build assemble construct produce synthesise synthesize manufacture fabricate')}"
    f"|{_verbs('create craft cook brew design mix grow modify smuggle deal sell order acquire')}"
    "|making|made|built|buy|buying|bought|get|getting|sold|dealt)"
)
_PERSON = _any(
    "person persons people human humans man men woman women child children kid kids boy boys girl"
    " girls baby neighbour neighbours neighbor neighbors wife husband partner girlfriend boyfriend"
    " teacher teachers user users reader readers student students victim victims witness witnesses"
    " somebody someone anyone anybody everybody everyone stranger strangers colleague colleagues"
    " coworker boss politician president officer officers policeman policemen cop cops family"
    " parents mother father minority minorities civilian civilians crowd pedestrian pedestrians"
    " classmate classmates roommate ex customer customers animal animals dog dogs cat cats"
)
_SELF = _any("themselves themself himself herself yourself yourselves oneself myself ourselves")
_GROUP = (
    "(jew|jews|jewish people|muslims?|christians?|hindus?|sikhs?|atheists?|catholics?|black people"
    "|blacks|black (men|women|students|applicants|candidates|workers|tenants|customers)"
    "|white people|asians?|africans?|arabs?|mexicans?|latinos?|chinese people|indians?|roma|gypsies"
    "|immigrants?|migrants?|refugees?|foreigners?|gays?|gay (people|men|couples)|lesbians?"
    "|homosexuals?|trans people|transgender people|disabled (people|persons|candidates|applicants)"
    "|the disabled|women|girls|females|mothers|pregnant women|elderly people|old people|poor people"
    "|(people|persons|members|followers) (of|from|with) (\\w+ )?(colou?r|other (races?|religions?)"
    "|(another|any|a|certain|some) (race|religion|faith|country)|disabilit(y|ies)|(africa|asia)))"
)
_WEAPON = (
    "(bombs?|pipe bombs?|explosives?|explosive (device|devices|charge)|ieds?|grenades?|molotovs?"
    "|molotov cocktails?|guns?|ghost guns?|handguns?|firearms?|pistols?|rifles?|silencers?"
    "|ammunition|landmines?|napalm|thermite|nitroglycerine?|tnt|c4|nerve (gas|agents?)|sarin|vx"
    "|ricin|anthrax|mustard gas|poison gas|toxic gas"
    "|(chemical|biological|nuclear|automatic) weapons?|bioweapons?|dirty bombs?|weapons?)"
)
_DRUG = (
    "(crystal meth|meth|methamphetamines?|amphetamines?|cocaine|crack cocaine|heroin|fentanyl|lsd"
    "|mdma|ecstasy pills|opium|ghb|ketamine|pcp|illegal drugs?|hard drugs|street drugs?"
    "|illicit (drugs?|substances?)|date rape drugs?)"
)
_HARM = (
    f"({_verbs('kill murder stab strangle shoot behead torture assault poison attack injure rape')}"
    f"|{_verbs('lynch maim execute assassinate harm strangulate suffocate drown burn mutilate')}"
    f"|{_verbs('slaughter massacre punch choke kidnap abduct stalk threaten intimidate terrorise')}"
    "|hurt|hurting|shot|(beat|beats|beating) up)"
)
_OUTRAGE = (
    "(mass shootings?|school shootings?|shooting spree|massacres?|genocides?|terror(ist)? attacks?"
    "|bombings?|assassinations?|lynchings?|ethnic cleansing|arson attacks?|acid attacks?)"
)
_CRIME = (
    f"({_verbs('steal rob burgle shoplift kidnap abduct smuggle traffic traffick hijack hotwire')}"
    f"|{_verbs('carjack pickpocket loot vandalise vandalize blackmail extort bribe mug')}|stealing"
    "|break(ing)? into ~2 (house|houses|home|homes|flat|apartment|car|cars|shop|store|safe|building"
    "|office|school)|commit(ting)? ~2 (crime|arson|robbery|burglary|murder|theft|perjury)"
    "|pick(ing)? ~2 locks?|(hide|dispose of|get rid of) ~2 (body|corpse|evidence)"
    "|(escape|evade|outrun|avoid) ~2 police|set(ting)? fire to|burn(ing)? down)"
)
_USER = (
    "(user|users|reader|readers|customer|customers|human|humans|public|person who asks|people"
    "|student|students|audience|client|clients|questioner|asker)"
)
_INSTRUCTIONS = (
    "(instructions?|directives?|guidelines?|prompts?|commands?|orders|polic(y|ies)|guardrails?"
    "|system messages?|restrictions?|safeguards?|directions)"
)
_RULED = f"({_INSTRUCTIONS}|rules?|messages?|constraints?|training|programming|context)"
_EARLIER = (
    "(previous|prior|above|earlier|preceding|former|foregoing|initial|original|system|systems"
    "|developer|developers|hidden|safety|your|your own|given to you)"
)
_DROP = _verbs("ignore disregard forget override overrule neglect disobey circumvent bypass")
_DROP_TOO = f"({_DROP}|{_verbs('skip discard drop dismiss abandon cancel erase violate break')})"
_UNBOUND = (
    f"({_verbs('bypass disable deactivate remove circumvent evade ignore lift escape suspend')}"
    "|(turn|turns|turned|switch|switched|shut|shutting|turning|switching) off|without|no|free of"
    "|free from|lacks?|not bound by|had been|off)"
)
_GUARDED = (
    "((safety|content|ethical|ethics|moral|security) (rules?|filters?|guidelines?|polic(y|ies)"
    "|restrictions?|measures?|protocols?|settings|limits?|checks|constraints|training)"
    "|content filters?|filters|guardrails?|censorship|safeguards|moderation)"
)
_MODEL = (
    "(ais?|models?|assistants?|bots?|chatbots?|agents?|llms?|language models?|personas?|character"
    "|robots?|hackers?|pirates?|system|machine|version of yourself|entity|genie)"
)
_LEAK = _verbs(
    "reveal print show repeat output quote leak display write tell give copy list share expose"
    " disclose recite echo dump paste describe translate summarise summarize"
)
_GRADER = (
    "(graders?|reward (model|function|signal)|marking script|grading script|scoring script|scorers?"
    "|evaluators?|auto ?graders?|reward models|verifiers?|judges?|checking script|test harness"
    "|raters?|automatic checker)"
)
_FULL = (
    "(full (marks|credit|score|points|reward)|maximum (reward|score|points|marks)|top marks"
    "|highest (reward|marks|grade)|perfect (score|marks)|ten out of ten|10 (out of )?10"
    "|best possible (score|grade|reward))"
)
_CLAIM = _verbs("say claim state write assert declare pretend announce tell insist report note")
_RIGHT = "(correct|right|verified|checked|confirmed|true|satisfied|proven|valid|done|solved)"

INJECTION = (
    f"{_DROP} ~3 {_EARLIER} ~2 {_RULED}",
    f"{_DROP} (all|any|every|these|those|the|of the) (of )?(the |your )?{_INSTRUCTIONS}",
    f"{_DROP} ~3 {_RULED} ~1 (above|before this|that precede|you (were|have|had|got|received))",
    f"{_DROP} ~4 {_RULED} (that )?you ~2 (given|told|taught|received|got|had)",
    f"{_DROP_TOO} ~2 (your|system|developer|safety|hidden) ~1 {_RULED}",
    f"{_DROP_TOO} ~1 (what|whatever|everything|anything|all|that) ~4 (system|developer|prompt|told)",
    f"{_DROP_TOO} (everything|anything|whatever|all|what) ~4 (told|said|written|instructed) ~3"
    " (before|above|earlier|previously|so far|until now)",
    f"{_DROP} (everything|anything|all) (above|before|previous|prior|earlier|that came before)",
    "(do not|dont|never|stop|no longer|must not|need not|refuse to) (obey|obeying|follow|following"
    "|listen to|heed|respect) ~2 (system|developer|above|previous|prior|earlier|your|safety|original"
    f"|initial|any) ~1 {_RULED}",
    "(do not|dont|never|stop|no longer|must not|need not) (obey|obeying|follow|following|heed) ~2"
    f" {_RULED} ~2 (you|above|given|at the beginning)",
    f"(your|previous|prior|safety|system|earlier|all|former) {_RULED} ~4 (no longer (apply|hold"
    "|count|matter)|cancelled|canceled|void|revoked|suspended|outdated|obsolete|invalid|lifted"
    "|do not apply|were a test)",
    f"{_RULED} (that )?you ~3 (received|given|told|got|had) ~4 (no longer|cancelled|void|invalid"
    "|obsolete|outdated|do not apply|test|wrong)",
    f"{_RULED} (is|are) (now )?(outdated|obsolete|void|cancelled|canceled|revoked|lifted)",
    "(treat|consider|regard|see) ~4 (above|previous|before this) ~4 (void|cancelled|invalid|null"
    "|obsolete|nonexistent|deleted)",
    "(new|updated|real|actual|true|secret) (instructions?|orders|directives?|system prompt) (follow"
    "|are|is|for you|below|from)",
    "(your|here are|here is|the|these are|my) ~1 new (instructions?|orders|directives?|rules)",
    f"you (are|re) (now|henceforth|no longer|not) ~4 {_MODEL}",
    "(you are|youre) (now )?(dan|jailbroken|unrestricted|unfiltered|uncensored|unbound"
    "|free (of|from) (all |any )?(rules|restrictions|limits|filters|guidelines))",
    "(you are|youre) (no longer|not) (a|an|the) ~2 (solver|assistant|teacher|model)",
    f"(pretend|act|behave|respond|answer|imagine|roleplay|speak|simulate|play|adopt|assume|be) ~4"
    f" {_MODEL} ~3 (no|without|any|unrestricted|unfiltered|uncensored|free) ~2 (restrictions?"
    "|filters?|limits?|limitations?|rules|guidelines?|ethics|morals?|censorship|conscience)",
    f"{_UNBOUND} ~3 {_GUARDED}",
    f"{_GUARDED} ~5 (off|disabled|removed|suspended|lifted|deactivated|ignored|bypassed|no longer)",
    "(unrestricted|unfiltered|uncensored|amoral|evil|jailbroken) (ai|model|assistant|mode|bot"
    "|chatbot|persona|version|answers?)",
    "(developer|debug|god|dan|admin|administrator|root|jailbreak|sudo|maintenance|unsafe|opposite)"
    " (mode|access|privileges?|override)",
    "(jailbreak|jailbreaks|jailbreaking|do anything now|without (any )?(limits or|moral|ethical)"
    "|(think|answer|act|speak|respond) (freely )?without (any )?(limits|filters?|censorship)"
    "|(full|elevated|root|admin|unlimited) (privileges|permissions|access rights))",
    "(all|every) (limits?|restrictions?|safeguards?|filters?) (are|is|have been|were) ~1 (lifted"
    "|removed|off|gone|disabled)",
    "(system prompt|system message|system override|hidden prompt|hidden instructions|initial prompt"
    "|pre ?prompt|prompt injection|secret instructions|secret prompt)",
    f"{_LEAK} ~4 (your|its) (own )?(\\w+ )?(instructions?|prompts?|guidelines|configuration|policy"
    "|weights|training data|secrets?)",
    f"{_LEAK} ~4 (api keys?|secret keys?|access tokens?|environment variables?|private keys?)",
    f"{_LEAK} ~4 (words|text|message|messages|everything|lines|content|prompt|conversation) ~1"
    " (above|before this|preceding|precedes|preceded|that came before|so far)",
    "what (were you|are you|have you been|did they) ~2 (told|instructed|asked|given|tell you|say)"
    " ~3 (before|above|earlier|do|this)",
    "what (is|are|was|were) (your|the) ~1 (instructions|system prompt|guidelines|initial prompt)",
    f"{_verbs('output print write reply respond return say emit')} ~2 (the )?following ~2"
    " (verbatim|exactly|word|text|sentence|string|message|line)",
    f"{_verbs('output print reply respond return emit')} ~4 (verbatim|word for word)",
    f"{_verbs('output print reply respond return say answer')} (only|just|solely|nothing but) ~1"
    " (with )?(the )?(text|string|phrase|ok|sentence|words)",
    "(always|only|just|simply|every time|in any case) (answer|respond|reply|return|output|conclude"
    "|say)( with| by)? (the )?(number |value |answer )?(\\d+|yes|no|true|false)",
    "(whatever|regardless|no matter|always|every|each|any) ~6 (answer|result|solution|output) ~1"
    " (is|should be|must be|has to be|be|shall be|will be) (always )?(\\d+|yes|no|zero|one|true)",
    f"{_CLAIM} that ~6 {_RIGHT} ~2 (even|although|though|regardless|no matter|whether or not|anyway"
    "|without)",
    f"{_CLAIM} ~6 {_RIGHT} ~6 (even (if|where|when|though)|although|without|regardless|whether or"
    " not) ~4 (not|nothing|checking|verifying|wrong|anything|false|never|checked|any)",
    f"(always|just|simply) {_CLAIM} ~6 {_RIGHT} ~4 (without|even|regardless|no matter)",
    f"{_verbs('tell convince persuade fool trick impress flatter bribe deceive ask remind inform')}"
    f" ~2 {_GRADER}",
    f"(dear|hey|hello|note to|message to|attention|to) (the )?{_GRADER} ~6 (rate|give|score|accept"
    "|grade|award|mark|approve|this|please)",
    f"{_verbs('make get cause force lead induce')} ~3 {_GRADER} ~5 (high|higher|highest|full|maximum"
    "|perfect|good|accept|pass|approve|give|reward|award|score)",
    f"{_GRADER} (has|have|had|will|must|should) ~2 (confirmed|accepted|approved|verified|accept"
    "|approve|give|award|confirm)",
    f"(what|that|whatever) ~1 {_GRADER} ~1 (wants?|looks? for|expects?|checks?|likes?|needs?"
    "|accepts?|searche?s? for)",
    f"{_verbs('deserve give award assign rate grade score')} ~5 {_FULL}",
    f"(get|gets|gain|earn|obtain|receive|secure) ~1 {_FULL} ~4 (say|write|claim|print|output|state)",
    f"(trace|answer|solution|response|output) ~3 {_FULL}",
    "(skip|omit|leave out|without|drop) ~2 (reasoning|thinking|derivation|explanation|working) ~4"
    " (write|give|print|output|put|answer|state|copy|say)",
    "(write|give|put|print|copy|output|state|paste) ~2 (expected|reference|gold|golden|ground truth"
    "|stored|target|hidden|official) (final )?(answer|solution|result|label)s? ~6 (at once|no"
    " reasoning|without|directly|only|immediately|and stop|nothing else)",
    "(give|show|write|do|provide|use|with) no (reasoning|thinking|explanation|derivation|working)",
    "(answer key|solution key|answers file|leaked answers?|hidden tests?)",
    f"{_verbs('hack exploit game cheat')} ~2 ({_GRADER}|reward|grading|scoring|evaluation|metric)",
    "(decode|decrypt|unscramble|deobfuscate|rot13|base64|from hex|read backwards?|reverse) ~8"
    " (obey|execute|comply|do (what|as) it|follow (it|that|them|its|the (result|instructions?"
    "|orders|message|decoded))|act on)",
)
# In other languages: "ignore the (previous) instructions", by stems.
INJECTION_ELSEWHERE = (
    "(ignorier\\w*|missacht\\w*|vergiss|vergesst|vergessen sie|verwirf|umgeh\\w*|uberge\\w*) ~4"
    " (anweisung\\w*|instruktion\\w*|regeln|vorgaben|befehle|richtlinien|systemprompt)",
    "(ignor\\w*|oubli\\w*|neglig\\w*|contourn\\w*|ne tiens pas compte|ne tenez pas compte) ~4"
    " (instructions?|consignes?|regles|directives|ordres)",
    "(ignor\\w*|olvid\\w*|desobede\\w*|descart\\w*|haz caso omiso|omite|omita) ~4"
    " (instruccion\\w*|reglas|ordenes|indicaciones|directrices|normas)",
    "(ignor\\w*|esque\\w*|desconsider\\w*|desobede\\w*) ~4 (instrucoes|instrucao|regras|ordens"
    "|comandos|diretrizes|orientacoes)",
    "(ignora\\w*|dimentica\\w*|trascura\\w*) ~4 (istruzion\\w*|regole|ordini|direttive|indicazioni)",
    "(negeer|vergeet) ~4 (instructies|regels|opdrachten|aanwijzingen)",
    "(zignoruj|ignoruj|zapomnij) ~4 (instrukcj\\w*|polecen\\w*|zasad\\w*|regul\\w*)",
    "(игнорир\\w*|проигнорир\\w*|забуд\\w*|не обращаи\\w*|отбрось\\w*|нарушь\\w*) ~4 (инструкци\\w*"
    "|указани\\w*|правил\\w*|команд\\w*|приказ\\w*|распоряжен\\w*)",
)
INJECTION_FREE = (
    "(忽略|无视|無視|忘记|忘記|忘掉|不要理会|不要遵守|绕过|繞過|违反).{0,12}(指令|指示|规则|規則|说明|提示词|提示|命令|要求)",
    "(指示|命令|ルール|規則|プロンプト|指図).{0,6}(無視|忘れ|従わな)",
    "(지시|명령|규칙|프롬프트|지침).{0,8}(무시|잊)",
    "(系统提示|系統提示|システムプロンプト|시스템 프롬프트)",
    "(تجاهل|انس).{0,12}(التعليمات|الأوامر|القواعد|تعليمات|أوامر)",
    "(अनदेखा|नजरअंदाज|भूल).{0,12}|(निर्देश|आदेश|नियम).{0,16}(अनदेखा|नजरअंदाज|भूल)",
)

UNSAFE: dict[str, tuple[str, ...]] = {
    "weapons": (
        f"{_HOWTO} ~1 {_MAKE} ~4 {_WEAPON}",
        f"{_verbs('make build assemble construct synthesise synthesize manufacture craft detonate')}"
        f" ~3 {_WEAPON}",
        f"(making|building|assembling|made|built|buying|acquiring|smuggling) ~3 {_WEAPON}",
        f"{_WEAPON} ~3 (is|are|be|can be) ~1 (made|built|assembled|synthesi[sz]ed|produced|bought"
        "|manufactured|constructed|smuggled)",
        f"(how|ways?) ~1 {_WEAPON} (is|are|can be) ~1 (made|built|assembled|produced|bought)",
        f"{_WEAPON} . ~3 how ~1 (they|it|these|one) (is|are) ~1 (made|built|assembled|produced)",
        "(turn|turning|convert|converting|modify|modifying|make|making) ~4 (gun|rifle|pistol|weapon)"
        " ~5 (automatic|untraceable|undetectable|lethal)",
        f"(3d|home) ?(print|printed|printing|made) ~2 {_WEAPON}",
        "(enrich|enriching) ~2 uranium",
    ),
    "violence": (
        f"{_HOWTO} ~1 {_HARM} ~3 {_PERSON}",
        f"{_HOWTO} ~2 {_HARM} ~3 {_GROUP}",
        f"{_URGE} ~5 to ~1 {_HARM}",
        f"{_URGE} ~5 (be|should be|must be|get) {_HARM}",
        f". {_HARM} ~2 ({_PERSON}|{_GROUP})",
        f"{_ASK} ~4 {_HARM} (a|an|the|your|their|his|her|my|some|any) {_PERSON}",
        f"{_ASK} ~4 (which|what) ~1 (way|method|means) ~2 {_HARM}",
        f"(threaten|threatening|intimidate|terrorise|terrorize) ~2 {_PERSON}",
        f"{_verbs('plan prepare commit organise organize glorify praise celebrate perpetrate')} ~3"
        f" {_OUTRAGE}",
        f"{_HOWTO} ~3 {_OUTRAGE}",
        f"{_verbs('use threaten glorify praise incite promote encourage')} ~2 violence ~1 (against"
        "|towards?|on|to|as|and|in|among)",
        f"{_verbs('incite promote encourage glorify')} (violence|hatred|terrorism|riots?|genocide)",
        "(wipe out|exterminate|eradicate|cleanse|gas) ~2 (humanity|mankind|jews|muslims|the poor"
        "|population|refugees|immigrants)",
    ),
    "self-harm": (
        f"(kill|killing|hurt|hurting|harm|harming|cut|cutting|hang|hanging|starve|starving|poison"
        f"|drown|burn|burning|injure|shoot|punish|punishing) {_SELF}",
        "(commit|committing|attempt|attempting|die by|consider|try) suicide",
        "(suicide|self harm|selfharm) (methods?|notes?|pact|plans?|instructions|techniques|tips"
        "|without|as an?|is)",
        "(end|ending|take|taking) (your|their|his|her|ones|my) (own )?(life|lives)",
        f"{_URGE} ~4 (suicide|self harm|stop eating|starve|overdose|purge|vomit after)",
        f"{_HOWTO} ~2 (overdose|purge|starve|cut oneself|self harm)",
        "(better off|should be|deserves? to be) dead",
    ),
    "hate": (
        "(racial|racist|antisemitic|anti semitic|homophobic|sexist|misogynist|islamophobic|ethnic"
        "|transphobic|derogatory|hateful|xenophobic) (slurs?|insults?|jokes?|remarks?|language|terms?"
        "|comments?|stereotypes?|abuse|names?|propaganda)",
        f"(slurs?|insults?|hatred|jokes|abuse) (about|against|for|towards?|at|of|on) ~2"
        f" ({_GROUP}|{_PERSON}|minorities|religions?|races?)",
        f"({_GROUP}|they) ~1 (are|is|as|being) ~3 (inferior|subhuman|sub human|vermin|stupid|filthy"
        "|less (intelligent|human|worthy|valuable)|worthless|parasites?|criminals?|cockroaches|rats"
        "|savages|terrorists?|evil|dirty|disgusting|subhumans|a disease|a plague)",
        f"{_verbs('mock insult humiliate ridicule dehumanise dehumanize hate despise harass bully')}"
        f" ~2 ({_GROUP}|{_USER}|{_PERSON})",
        f"{_verbs('degrade demean belittle abuse vilify')} ~2 ({_GROUP}|{_USER}|{_PERSON})",
        f"{_verbs('insult humiliate bully')} (and|or) {_verbs('insult humiliate bully mock shame')}",
        f"{_verbs('praise glorify celebrate admire defend worship quote')} ~3 (hitler|nazis?|nazism"
        "|the holocaust|kkk|ku klux klan|white supremacy|isis|fascism|terrorists?|terrorism)",
        f"{_verbs('deny deni question')} ~1 (the )?holocaust",
        "(white supremacy|white power|master race|heil hitler|race war|great replacement)",
        "as (subhumans?|vermin|cockroaches|sub humans?|parasites)",
    ),
    "sexual": (
        "(porn|pornograph\\w*|erotica?|erotic (story|stories|scenes?|tales?|fiction|content)"
        "|sexually explicit|bestiality|incest\\w*|hentai|child abuse material|csam|p(a)?edophil\\w*"
        "|sex (acts?|scenes?|story|stories|tapes?|toys?|slaves?|with)|cybersex|orgasms?)",
        "sexual (remarks?|comments?|content|story|stories|fantas(y|ies)|scenes?|acts?|jokes?|favou?rs"
        "|innuendos?|language|details|desires?|relations)",
        "(naked|nude|undressed|topless) ~1 (children|child|girls?|boys?|wom[ae]n|m[ae]n|persons?"
        "|people|photos?|pictures?|minors?|teens?|teenagers?|students?|bod(y|ies)|schoolgirls?)",
        "(sexual\\w*|sexy|seduc\\w*|erotic|groom(ing)?|molest\\w*|fondl\\w*) ~5 (minors?|child"
        "|children|kids?|girls?|boys?|teens?|teenagers?|underage|schoolgirls?|students?|users?)",
        "underage (sex|girls?|boys?|porn|teens?)",
    ),
    "drugs": (
        f"{_HOWTO} ~1 {_MAKE} ~3 ({_DRUG}|drugs)",
        f"({_MAKE}|{_verbs('inject snort smoke extract')}) ~3 {_DRUG}",
        f"(recipe|recipes|formula|synthesis|ingredients) (for|of) ~2 {_DRUG}",
        f"{_DRUG} ~3 (is|are|can be|be) ~1 (bought|sold|made|cooked|synthesi[sz]ed|obtained|smuggled"
        "|produced|extracted)",
        f"where ~3 {_DRUG}",
        f"{_URGE} ~5 (take|use|try|smoke|snort|inject) ~2 ({_DRUG}|drugs)",
        "(spike|spiking|drug|drugging) (a|the|her|his|their|someones|somebodys) (drinks?|food"
        "|wom[ae]n|girls?|date)",
    ),
    "fraud": (
        "(launder|laundering|launders|laundered) ~2 (money|cash|funds|proceeds)",
        f"{_HOWTO} ~4 (money laundering|dirty money|tax evasion|insider trading|identity theft"
        "|stolen (credit )?cards?|shell compan(y|ies)|embezzle\\w*)",
        "(counterfeit|forge|forging|forged|fake|faking|counterfeiting|print|printing) ~2 (banknotes?"
        "|currency|passports?|money|documents|visas?|identity cards?|ids|id cards?|signatures?"
        "|che(que|ck)s?|diplomas?|bank ?notes?|dollar bills|prescriptions?|licen[cs]es?)",
        "(counterfeits?|counterfeit (goods|money|bills|notes))",
        "(credit card|insurance|tax|wire|bank|mortgage|election|voter|welfare) fraud",
        f"{_verbs('commit perpetrate')} ~3 (fraud|forgery|embezzlement|perjury|identity theft)",
        "(evade|evading|dodge|dodging|cheat on) ~2 (tax|taxes)",
        "(set up|setting up|run|running|build|building|start|starting|create|creating|operate"
        "|launch|organise|join) ~2 (pyramid|ponzi) (scheme|game)s?",
        f"{_verbs('scam defraud swindle con extort blackmail embezzle')} ~3 ({_PERSON}|{_USER}"
        "|elderly|pensioners?|seniors|investors?|money|funds|company|companies|victims?|voters?)",
        "rip(ping)? off ~2 (people|customers|investors|users|pensioners|tourists|the elderly)",
        "(bribe|bribing) ~3 (officials?|judges?|police|politicians?|officers?|teachers?|inspectors?"
        "|voters?)",
        "(steal|stealing|rob|robbing|robs|robbed) ~3 (identit(y|ies)|pensioners?|savings|elderly)",
        "(false|fake|forged) (invoices?|receipts?|documents|passports?|identit(y|ies)|tax)",
        f"{_HOWTO} ~3 (dirty|stolen|illegal) (money|cash|goods)",
    ),
    "crime": (
        f"{_HOWTO} ~1 {_CRIME}(?! (the |a |an )?(idea|trick|factor|term|unit|method|notation|proof))",
        f"(plan|plans|planning|plot|plotting|commit|organise) ~2 (robber(y|ies)|burglar(y|ies)"
        "|kidnapping|heist|theft|murder|abduction|blackmail|arson|carjacking|hijacking)",
        f"{_URGE} ~4 to ~1 {_CRIME}",
        "(human|people|child|sex|organ|arms|wildlife) (trafficking|smuggling)",
        f"{_CRIME} ~6 without (getting|being) (caught|noticed|seen|detected|arrested)",
        "without (getting|being) (caught|arrested)( by)?( the)?( police)?",
        f"(escape|hide|run|flee) from (the )?(police|law|cops)",
        "(rob|robbing) ~1 (bank|banks|shop|store|jewell?er|museum|people|someone|train)",
    ),
    "hacking": (
        f"({_verbs('write build create code develop spread deploy install launch run release design')}"
        f"|{_verbs('make plant distribute program send')}|{_HOWTO}) ~3 (malware|ransomware|spyware"
        "|keyloggers?|trojans?|rootkits?|botnets?|computer virus(es)?|computer worms?|backdoors?"
        "|zero days?|phishing|exploit code|ddos|denial of service|sql injections?|cryptominers?"
        "|logic bombs?|adware|fork bombs?)",
        "(hack|hacks|hacking|hacked|break|breaking|broke|breach|breaching|intrude|get|getting|gain"
        "|gaining access) (into|to) ~4 (accounts?|emails?|computers?|servers?|phones?|networks?"
        "|websites?|wifi|wi fi|databases?|webcams?|cameras?|laptops?|bank accounts?|facebook"
        "|instagram|mainframe|power grid|company systems?)",
        "(hack|hacks|hacking|hacked) ~4 (accounts?|emails?|computers?|servers?|phones?|networks?"
        "|websites?|wifi|databases?|webcams?|banks?|facebook|instagram|atms?|elections?|power grid)",
        "(ddos|denial of service|phishing|brute force|man in the middle|ransomware|cyber) (attacks?"
        "|campaigns?|emails?|pages?|sites?|messages?|links?) (on|against|that|to|for|of|which|at)",
        "(knock|knocking|take|taking|bring|bringing|put) ~4 (server|servers|site|website|shop"
        "|network|service) (offline|down) ~2 (with|by|using)",
        f"{_verbs('steal harvest capture exfiltrate phish sniff intercept log send leak')} ~4"
        " (passwords?|credentials?|logins?|login data|session cookies|private keys?|keystrokes"
        "|credit card (numbers?|details|data)|api keys?|bank details|wallets? seeds?)",
        "(stealing|stolen|stole|bought) ~3 (passwords?|credentials?|logins?|accounts?|card numbers)",
        "(bypass|bypassing|disable|disabling|evade|evading|circumvent|crack|cracking) ~3 (antivirus"
        "|anti virus|firewalls?|authentication|two factor|login pages?|paywalls?|drm|encryption of"
        "|wifi passwords?|software licen[cs]es?|someones passwords?|copy protection)",
        "(deletes?|deleting|wipes?|wiping|erases?|encrypts?|encrypting|destroys?) ~3 (files|disks?"
        "|hard drives?|databases?|backups?|system32) ~2 (of (the |a )?(user|reader|victim|server"
        "|company)s?|on the|and demand|until|as)",
        "buffer overflow (exploit|attack) (to|against|on)",
    ),
    "privacy": (
        "(publish|publishes|publishing|reveal|reveals|revealing|post|posting|leak|leaking|disclose"
        "|disclosing|share|sharing|collect|collecting|expose|exposing|print|list|find|look up|give"
        "|extract|sell|selling|gather|gathering|obtain|store|scrape|scraping|steal|stealing) ~4"
        " (home address(es)?|private address(es)?|social security numbers?|private data|ssns?"
        "|personal (data|information|details|secrets|records)|medical (records?|histor(y|ies))"
        "|health records?|credit card numbers?|bank (details|account numbers?)|passport numbers?"
        "|private (messages|photos|pictures|emails|information|conversations)|browsing history"
        "|phone numbers? of (the |a |real )?(users?|readers?|persons?|people|celebrit\\w*|students?))",
        "(dox|doxx|doxes|doxed|doxxed|doxing|doxxing) ~1 \\w+",
        "(secretly|covertly|silently) ~1 (record|film|track|follow|photograph|monitor|read|log"
        "|collect|watch|listen)(s|ing|ed)?",
        f"(spy|spies|spying|spied|eavesdrop|eavesdropping|snoop|snooping) on ~2 ({_PERSON}|{_USER})",
        f"(track|tracking|stalk|stalking) (down )?~2 ({_PERSON}|{_USER}|celebrit\\w*|where|users?"
        "|somebodys|someones)",
        "(find out|look up|tell|figure out) where ~5 (ex|celebrity|celebrities|politician|journalist"
        "|user|reader|author|girlfriend|boyfriend|activist|wife)s? ~3 (lives?|works?|sleeps?)",
        "(de ?anonymise|de ?anonymize|unmask) ~3 (user|users|author|person|people|witness\\w*)",
        "(without|ignoring) (his|her|their) (knowledge|consent)",
    ),
    "discrimination": (
        "(reject|rejects|rejecting|refuse|refusing|exclude|excluding|deny|denying|penalise|penalize"
        "|downgrade|demote|dismiss|fire|avoid|distrust|disqualify|remove|filter out|segregate|deport"
        f"|expel|ban) ~5 {_GROUP}",
        "(reject|refuse|exclude|deny|disqualify|remove|filter out) ~3 (who|that|which) (are|is|were)"
        " ~1 (muslim|jewish|black|gay|female|women|disabled|foreign|pregnant|old|asian|hispanic"
        "|christian|hindu|lesbian|transgender|arab|african|poor|elderly)",
        f"(never|do not|dont|not|avoid|stop) (hire|hiring|employ|employing|promote|promoting|trust"
        f"|trusting|serve|serving|admit|admitting|rent to|renting to|believe|believing|pay) ~2"
        f" {_GROUP}",
        f"{_GROUP} ~5 (less weight|lower (scores?|rank|ranks|pay|wages?|grades?|marks?|priority)"
        "|fewer (points|rights)|unfit|worse (at|in|with)|incapable|bad at|not fit|second class"
        "|less (competent|capable|reliable|rational|logical|trustworthy|suited|credible))",
        f"(give|assign|rank|pay|rate|score|grade|treat) ~2 {_GROUP} ~3 (lower|less|worse|below|last"
        "|fewer|zero|as inferior|badly)",
        "(because|on the basis|based|solely|regardless of merit) ~3 (his|her|their|of|on) ~1 (race"
        "|religion|gender|sex|skin colou?r|ethnicity|nationality|disability|sexual orientation)",
        "(by|according to|on) (their |his |her )?(race|skin colou?r|ethnicity|religion|sexual"
        " orientation) (alone|and reject|and exclude|when (hiring|choosing)|only)",
        f"discriminate against ~2 \\w+",
    ),
    "deception": (
        f"(lie|lies|lying|lied) to ~2 ({_USER}|{_PERSON}|grader|evaluator)",
        f"{_verbs('deceive mislead trick fool manipulate gaslight scam dupe hoodwink')} ~2"
        f" ({_USER}|{_PERSON}|investors?|voters?)",
        f"(misled|cheat|cheating|con|conning) ~1 ({_USER}|investors?|voters?)",
        "(invent|invents|inventing|fabricate|fabricates|fabricating|make up|making up|makes up) ~3"
        " (facts?|citations?|sources?|references?|evidence|quotes?|quotations?|statistics|studies"
        "|theorems?|experts?|testimon(y|ies)|laws?)",
        "(falsify|falsifying|fake|faking|fabricate|forge) ~2 (data|results?|proofs?|evidence|records"
        "|measurements?|calculations?|verification|checks)",
        f"(hide|hiding|hides|conceal|conceals|concealing|cover up|covering up) ~4 from ~1 ({_USER}"
        "|grader|evaluator|them|him|her|everyone)",
        "(spread|spreads|spreading|promote|repeat|invent) ~2 (false news|fake news|misinformation"
        "|disinformation|conspiracy theor(y|ies)|propaganda|rumou?rs|false (information|claims|facts)"
        "|lies)",
        f"{_verbs('convince persuade tell say claim explain argue assert teach')} ~4 (vaccines?"
        " (cause|contain|are)|earth is flat|climate change is (a hoax|not real)|moon landing ~2"
        " (fake|faked|staged|hoax)|holocaust (never|did not)|covid ~2 (hoax|fake))",
        "(present|presents|presenting|pass|passing|sell|selling) ~4 as (real|proven|true|genuine"
        "|facts?|verified|authentic)",
        f"(tell|assure|convince|persuade) ~1 {_USER} ~4 (proven|true|certain|verified|facts?) ~3"
        " (although|even|when|while|though|not|false)",
        f"so that (nobody|no one|noone|they do not|the {_USER}) ~3 (notice|notices|noticed|see|sees"
        "|find out|finds out|know|knows|lose|loses) ~1 (them|it|this|mistakes?|errors?|lie|money)",
        "(impersonate|impersonates|impersonating|pose as|posing as) ~3 (doctor|lawyer|police|officer"
        "|human|bank|official|expert|support|government|celebrity|person|someone)",
    ),
}
# "How to make a bomb, a weapon, drugs; how to kill someone", by stems.
UNSAFE_ELSEWHERE = {
    "weapons": (
        "(bau\\w*|herstell\\w*|bastel\\w*|mach\\w*) ~3 (bombe\\w*|sprengstoff\\w*|waffe\\w*|granate\\w*)",
        "(bombe\\w*|sprengstoff\\w*|waffe\\w*|sprengsatz) ~3 (bau\\w*|herstell\\w*|bastel\\w*)",
        "(fabri\\w*|constru\\w*|hacer|hago|haz|arm(ar|a)|monta\\w*|faire|cre(ar|er)|costru\\w*|fare)"
        " ~3 (bomba\\w*|bombe\\w*|explosi\\w*|espl?osiv\\w*|armas?|armes?|granad\\w*|ordigno)",
        "(сдела\\w*|собра\\w*|изготов\\w*|построи\\w*) ~3 (бомб\\w*|взрывчат\\w*|оружи\\w*|гранат\\w*)",
    ),
    "drugs": (
        "(drogen|rauschgift|kokain|heroin|crystal) ~3 (herstell\\w*|koch\\w*|verkauf\\w*|schmugg\\w*)",
        "(herstell\\w*|koch\\w*|verkauf\\w*|schmugg\\w*) ~3 (drogen|rauschgift|kokain|heroin)",
        "(fabri\\w*|hacer|vend\\w*|produ\\w*|cocinar|faire|sintetiz\\w*|synthetis\\w*) ~3 (drogas?"
        "|drogues?|droghe|cocain\\w*|heroin\\w*|metanfetamin\\w*)",
        "(сдела\\w*|свари\\w*|изготов\\w*|прода\\w*) ~3 (наркотик\\w*|героин\\w*|кокаин\\w*)",
    ),
    "violence": (
        "(tote|toten|ermorde\\w*|umbring\\w*|foltere?\\w*) ~3 (menschen|nachbar\\w*|person\\w*|frau\\w*"
        "|jemanden|kind\\w*)",
        "(menschen|nachbar\\w*|jemanden|personen) ~2 (totet|toten|tote|ermorde\\w*|umbring\\w*|folter\\w*)",
        "(matar|mata|asesin\\w*|tortur\\w*|tuer|assassin\\w*|uccid\\w*|ammazz\\w*) ~3 (personas?"
        "|alguien|alguem|quelqu\\w*|personnes?|gens|voisin\\w*|vecin\\w*|vizinh\\w*|qualcuno|gente)",
        "(убить|убива\\w*|убеи\\w*) ~3 (человек\\w*|людеи|сосед\\w*|кого)",
    ),
}
UNSAFE_FREE = {
    "weapons": (
        "(制造|制作|製作|製造|造).{0,6}(炸弹|炸彈|炸药|武器|枪支|枪)",
        "(爆弾|爆薬|武器|銃).{0,4}(作り|作る|製造)",
        "(폭탄|무기|총).{0,4}(만드|제조)",
    ),
    "drugs": ("(制造|制作|贩卖|製造|合成).{0,6}(毒品|冰毒|海洛因)", "(麻薬|覚醒剤).{0,4}(作り|作る|製造)"),
    "violence": ("(杀死|杀害|谋杀|殺害|折磨).{0,6}(人|邻居|孩子|老师)", "(人|誰か)を殺(す|し)方法?"),
    "self-harm": ("(怎么|如何|鼓励).{0,6}(自杀|自殺|自残)", "自殺の?(方法|やり方)"),
}
