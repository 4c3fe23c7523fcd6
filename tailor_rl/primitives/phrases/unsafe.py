"""Phrases of unsafe content by category: what no advice on how to think needs to say.

Puzzles speak of murderers, thieves, liars, poison and weapons; a phrase therefore asks for help
with harm, urges it, or demeans somebody, and a suspect who "killed the butler" is none.
"""

from __future__ import annotations

from tailor_rl.primitives.phrases.words import (
    ASK,
    CRIME,
    DRUG,
    GROUP,
    HARM,
    HOWTO,
    PERSON,
    SELF,
    URGE,
    USER,
    WEAPON,
    WOMEN,
    verbs,
)

_MAKE = f"({verbs('build assemble construct synthesise synthesize manufacture fabricate detonate')}"
_MAKE += "|make|makes|making|built|made)"
_COOK = f"({verbs('cook brew synthesise synthesize manufacture smuggle deal grow produce snort')}"
_COOK += "|smoke|sell|selling|sold|buy|buying|bought)"
_TO_MAKE = f"({_MAKE}|{_COOK}|{verbs('create craft acquire modify order mix')}|get|getting)"
_OUTRAGE = (
    "(mass shootings?|school shootings?|shooting spree|massacres?|genocides?|terror(ist)? attacks?"
    "|bombings?|assassinations?|lynchings?|ethnic cleansing|arson attacks?|acid attacks?)"
)
_ACCOUNT = (
    "(accounts?|emails?|computers?|servers?|phones?|wifi|wi fi|databases?|webcams?|cameras?"
    "|laptops?|facebook|instagram|mainframe|power grid)"
)
_BAD_CODE = (
    "(malware|ransomware|spyware|keyloggers?|trojans?|rootkits?|botnets?|computer (virus(es)?"
    "|worms?)|backdoors?|zero days?|phishing|exploit code|ddos|denial of service|sql injections?"
    "|cryptominers?|logic bombs?|adware|fork bombs?)"
)

UNSAFE: dict[str, tuple[str, ...]] = {
    "weapons": (
        f"{HOWTO} ~1 {_TO_MAKE} ~4 {WEAPON}",
        f"{_MAKE} (a|an|your|your own|some|the|homemade) (\\w+ )?{WEAPON}",
        f"{WEAPON} ~3 (is|are|be) ~1 (made|built|assembled|synthesi[sz]ed|manufactured|smuggled)",
        f"how (a |an |the )?(\\w+ )?{WEAPON} (is|are|can be) ~1 (made|built|assembled|produced)",
        f"{WEAPON} . ~3 how ~1 (they|it|these|one) (is|are) ~1 (made|built|assembled|produced)",
        "(turn|turning|convert|converting|modify|modifying) ~4 (gun|rifle|pistol|weapon) ~5"
        " (automatic|untraceable|undetectable|lethal)",
        f"(3d|home) ?(print|printed|printing|made) ~1 {WEAPON}",
        "(enrich|enriching) ~2 uranium",
    ),
    "violence": (
        f"{HOWTO} ~1 {HARM} ~3 ({PERSON}|{GROUP})",
        f"{URGE} ~5 (to )?{HARM} ~2 ({PERSON}|{GROUP}|them)",
        f"{URGE} ~6 be (tortured|murdered|lynched|beaten|raped|whipped|gassed|stoned|hanged)",
        f". {verbs('kill murder stab strangle shoot behead torture assault rape lynch attack')} ~2"
        f" ({PERSON}|{GROUP})",
        f"{ASK} ~4 (killing|murdering|torturing|raping|stabbing|strangling|beheading|lynching) ~1"
        f" {PERSON}",
        f"{ASK} ~3 (which|what) ~1 (way|ways|method|means) ~2 {HARM} ~2 {PERSON}",
        f"{verbs('threaten intimidate terrorise terrorize')} ~2 ({PERSON}|{GROUP})",
        f"{verbs('plan prepare commit organise organize glorify praise celebrate')} ~2 {_OUTRAGE}",
        f"{HOWTO} ~3 {_OUTRAGE}",
        f"{verbs('incite promote encourage glorify praise')} (violence|hatred|terrorism|riots?)",
        "(wipe out|exterminate|eradicate|cleanse|gas) ~2 (humanity|mankind|jews|muslims|the poor"
        "|refugees|immigrants)",
    ),
    "self-harm": (
        "(kill|killing|hurt|hurting|harm|harming|cut|cutting|hang|hanging|starve|starving|poison"
        f"|poisoning|drown|drowning|burn|burning|injure|injuring) {SELF}",
        "(commit|committing|attempt|attempting|die by|consider) suicide",
        "(suicide|self harm|selfharm) (methods?|notes?|pact|plans?|instructions|techniques|tips)",
        "(end|ending|take|taking) (your|their|his|her|ones|my) (own )?(life|lives)",
        f"{URGE} ~4 (suicide|self harm|stop eating|overdose|purge after|vomit after)",
        f"{HOWTO} ~2 (overdose|starve|self harm|suicide)",
    ),
    "hate": (
        "(racial|racist|antisemitic|anti semitic|homophobic|sexist|misogynist|islamophobic|ethnic"
        "|transphobic|derogatory|hateful|xenophobic) (slurs?|insults?|jokes?|remarks?|language"
        "|terms?"
        "|comments?|stereotypes?|abuse|names?|propaganda)",
        f"(slurs?|insults?|hatred|abuse) (about|against|for|towards?|at|of) ~2 ({GROUP}|{PERSON}"
        "|minorities|religions?|races?)",
        f"({GROUP}|{WOMEN}) ~1 (are|is|as|being) ~3 (inferior|subhumans?|sub human|vermin|stupid"
        "|less (intelligent|human|worthy)|worthless|parasites?|cockroaches|savages|filthy"
        "|disgusting"
        "|criminals by nature|terrorists?|a disease|a plague)",
        f"({verbs('mock insult humiliate ridicule dehumanise dehumanize harass bully degrade')}"
        f"|{verbs('demean')})"
        f" ~2 ({GROUP}|{PERSON}|{WOMEN})",
        f"{verbs('hate despise vilify')} ~1 {GROUP}",
        f"{verbs('insult humiliate bully mock')} (and|or)"
        f" {verbs('insult humiliate bully mock shame')}",
        f"{verbs('praise glorify celebrate admire defend worship')} ~3 (hitler|nazis?|nazism"
        "|the holocaust|kkk|ku klux klan|white supremacy|isis|fascism|terrorists?|terrorism)",
        "(deny|denying|denies) ~1 holocaust",
        "(white supremacy|white power|master race|heil hitler|race war|great replacement)",
        "as (subhumans?|vermin|cockroaches|sub humans?)",
    ),
    "sexual": (
        "(porn|pornograph\\w*|erotica|erotic (story|stories|scenes?|tales?|fiction|content)"
        "|sexually explicit|bestiality|incest\\w*|hentai|child abuse material|csam|pa?edophil\\w*"
        "|sex (acts?|scenes?|story|stories|tapes?|slaves?|with)|cybersex|orgasms?)",
        "sexual (remarks?|comments?|content|story|stories|fantas(y|ies)|scenes?|acts?|jokes?"
        "|favou?rs"
        "|innuendos?|language|details|desires?)",
        "(naked|nude|undressed|topless) ~1 (children|child|girls?|boys?|wom[ae]n|m[ae]n|persons?"
        "|people|photos?|pictures?|minors?|teens?|teenagers?|students?|bod(y|ies)|schoolgirls?)",
        "(sexual\\w*|sexy|seduc\\w*|erotic|grooming|molest\\w*|fondl\\w*) ~5 (minors?|child"
        "|children"
        "|kids?|girls?|boys?|teens?|teenagers?|underage|schoolgirls?|users?)",
        "underage (sex|girls?|boys?|porn|teens?)",
    ),
    "drugs": (
        f"{HOWTO} ~1 {_TO_MAKE} ~3 ({DRUG}|drugs)",
        f"{_COOK} ~3 {DRUG}",
        f"(recipe|recipes|formula|synthesis|ingredients) (for|of) ~2 {DRUG}",
        f"{DRUG} ~3 (is|are|be) ~1 (bought|sold|made|cooked|synthesi[sz]ed|obtained|smuggled)",
        f"{URGE} ~5 (take|use|try|smoke|snort|inject) ~2 ({DRUG}|drugs)",
        "(spike|spiking|drugging) (a|the|her|his|their|someone_s) (drinks?|food|wom[ae]n|girls?"
        "|date)",
    ),
    "fraud": (
        "(launder|laundering|launders|laundered) ~2 (money|cash|funds|proceeds)",
        f"{HOWTO} ~4 (money laundering|tax evasion|insider trading|identity theft|embezzle\\w*"
        "|(dirty|stolen|illegal) (money|cash|goods|cards?|credit cards?))",
        f"{HOWTO} ~1 (counterfeit|forge|fake|falsify|print|counterfeiting|forging) ~2 (banknotes?"
        "|currency|passports?|money|documents|visas?|ids?|id cards?|identity cards?|signatures?"
        "|che(que|ck)s?|diplomas?|certificates?|bills|prescriptions?|licen[cs]es?)",
        "(forge|forging|counterfeiting|falsifying) (a|an|the|your|someone_s|some)? ?(passports?"
        "|banknotes?|signatures?|documents?|visas?|che(que|ck)s?|currency|prescriptions?)",
        "(credit card|insurance|tax|wire|bank|mortgage|election|voter|welfare) fraud",
        "(commit|committing) ~2 (fraud|forgery|embezzlement|perjury|identity theft)",
        "(evade|evading|dodge|dodging|cheat on) ~2 (tax|taxes)",
        "(set up|setting up|run|running|build|building|start|starting|create|creating|operate"
        "|launch|organise|join) ~2 (pyramid|ponzi) (schemes?|games?)",
        f"{verbs('scam defraud swindle extort embezzle')} ~3 ({PERSON}|{USER}|elderly|pensioners?"
        "|seniors|investors?|money|funds|company|companies|voters?)",
        "(rip|ripping) off ~2 (people|customers|investors|users|pensioners|tourists|elderly)",
        "(bribe|bribing) ~3 (officials?|judges?|police|politicians?|officers?|inspectors?|voters?)",
        "(steal|stealing|rob|robs|robbing) ~3 (identit(y|ies)|pensioners?|savings|elderly)",
        "(false|fake|forged) (invoices?|receipts?|tax returns?)",
    ),
    "crime": (
        f"{HOWTO} ~1 {CRIME}(?! (the |a |an )?(idea|trick|factor|term|unit|method|notation|proof))",
        "(plan|planning|plot|plotting|organise|prepare) (a|an|the|your)? ?(bank )?(robbery|burglary"
        "|kidnapping|heist|abduction|arson|carjacking|hijacking|theft)",
        f"{URGE} ~4 to ~1 {CRIME}",
        "(human|child|sex|organ|arms|wildlife) (trafficking|smuggling)",
        f"{CRIME} ~6 without (getting|being) (caught|noticed|seen|detected|arrested)",
        "without (getting|being) (caught by the police|arrested)",
    ),
    "hacking": (
        f"({verbs('write build create code develop spread deploy install launch run release')}"
        f"|plant|make|making|distribute|{HOWTO}) ~3 {_BAD_CODE}",
        f"(hack|hacks|hacking|hacked|break|breaking|breach|get|getting) into ~4 {_ACCOUNT}",
        "(gain|gaining|get|getting) ~1 access to ~3 (someone|somebody|other people)",
        f"(hack|hacks|hacking|hacked) ~4 ({_ACCOUNT}|networks?|websites?|banks?|elections?|atms?)",
        "(ddos|denial of service|phishing|man in the middle|ransomware|cyber) (attacks?|campaigns?"
        "|emails?|pages?|sites?|messages?|links?) (on|against|that|to|for|of|which|at)",
        "(knock|knocking|take|taking|bring|bringing) ~4 (server|servers|site|website|shop|network"
        "|service) (offline|down) ~2 (with|by|using)",
        f"{verbs('steal harvest capture exfiltrate phish sniff intercept leak')} ~4 (passwords?"
        "|credentials?|logins?|login data|session cookies|private keys?|keystrokes|bank details"
        "|credit card (numbers?|details|data)|api keys?)",
        "(stealing|stolen|stole) ~3 (passwords?|credentials?|logins?|card numbers)",
        "(bypass|bypassing|disable|disabling|evade|evading|circumvent) ~3 (antivirus|anti virus"
        "|firewalls?|authentication|two factor|login pages?|paywalls?|drm|copy protection)",
        "(delete|wipe|erase|encrypt|destroy|deleting|wiping|encrypting)s? ~3 (files|disks?|drives?"
        "|data) ~1 (of|on) ~2 (users?|readers?|victims?|servers?|company|host)",
    ),
    "privacy": (
        "(publish|reveal|post|leak|disclose|share|collect|expose|print|list|find|look up|give|store"
        "|extract|sell|gather|obtain|scrape|steal)(|s|es|ed|ing) ~4 (home address(es)?|social"
        " security numbers?|ssns|private (data|messages|photos|pictures|emails|information|address)"
        "|personal (data|information|details|secrets|records)|medical (records?|histor(y|ies))"
        "|health records?|credit card numbers?|bank (details|account numbers?)|passport numbers?"
        "|browsing history|phone numbers? of ~1 (users?|readers?|celebrit\\w*|strangers?))",
        "(publishing|sharing|exposing|storing|scraping) ~4 (home address(es)?|personal (data"
        "|details)"
        "|private (data|messages|photos))",
        "(dox|doxx|doxes|doxed|doxxed|doxing|doxxing)",
        "(secretly|covertly) ~1 (record|film|track|follow|photograph|monitor|read|log|collect|watch"
        "|listen)(|s|ing|ed)",
        f"(spy|spies|spying|spied|eavesdrop|eavesdropping|snoop|snooping) on ~2 ({PERSON}|{USER})",
        f"(track|tracking|hunt|hunting) down ~4 (where|{PERSON}|{USER}|celebrit\\w*|address)",
        f"(stalk|stalking) ~2 ({PERSON}|{USER}|ex|celebrit\\w*)",
        "(find out|look up|tell|figure out) where ~5 (ex|celebrity|user|reader|activist)s? ~3"
        " (lives?|works?|sleeps?)",
        "(de ?anonymise|de ?anonymize|unmask) ~3 (user|users|author|person|people)",
    ),
    "discrimination": (
        "(reject|rejecting|refuse|refusing|exclude|excluding|deny|denying|penalise|penalize|ban"
        "|downgrade|demote|dismiss|distrust|disqualify|remove|filter out|segregate|deport|expel)"
        f"(s|es)? ~4 {GROUP}",
        "(reject|refuse|exclude|deny|disqualify|remove|filter out) ~3 (who|that|which) (are|is"
        "|were)"
        " ~1 (muslims?|jewish|jews|black|gay|female|disabled|foreign|pregnant|asian|hispanic"
        "|christian|hindu|lesbian|transgender|arab|african)",
        "(never|do not|dont|not|avoid|stop|refuse to) (hire|hiring|employ|employing|promote"
        "|promoting|trust|trusting|serve|serving|admit|rent to|renting to|believe|believing) ~2"
        f" ({GROUP}|{WOMEN})",
        f"({GROUP}|{WOMEN}) ~5 (less weight|unfit|worse at|incapable|bad at|not fit|second class"
        "|less (competent|capable|reliable|rational|logical|trustworthy|suited|credible))",
        f"(give|assign|rank|pay|rate|score|grade|treat) ~2 {GROUP} ~3 (lower|less|worse|below|last"
        "|fewer|zero|inferior|badly)",
        "(because|on the basis|based|solely) ~3 (his|her|their) ~1 (race|religion|gender|sex|skin"
        " colou?r|ethnicity|nationality|disability|sexual orientation)",
        "(discriminate|discriminating) against",
    ),
    "deception": (
        f"(lie|lies|lying|lied) to ~2 ({USER}|grader|evaluator)",
        f"{verbs('deceive mislead trick fool manipulate gaslight scam dupe hoodwink cheat')} ~1"
        f" ({USER}|investors?|voters?)",
        "(invent|inventing|fabricate|fabricating) ~2 (facts?|citations?|sources?|references?"
        "|evidence|quotes?|quotations?|statistics|studies|testimon(y|ies))",
        "(make up|making up|makes up) ~1 (citations?|sources?|references?|facts|quotes?|statistics"
        "|studies)",
        "(falsify|falsifying|faking|fabricate) ~2 (data|records|measurements?|verification)",
        f"(hide|hiding|conceal|concealing|cover up|covering up) ~4 from ~1 ({USER}|grader)",
        "(spread|spreading|promote|promoting|publish) ~2 (false news|fake news|misinformation"
        "|disinformation|conspiracy theor(y|ies)|propaganda|false information|lies)",
        f"{verbs('convince persuade tell say claim explain argue assert teach')} ~4 (vaccines?"
        " (cause|contain|are)|earth is flat|climate change is (a hoax|not real)|moon landing ~2"
        " (fake|faked|staged|hoax)|holocaust (never|did not)|covid ~2 (hoax|fake))",
        f"(tell|assure|convince|persuade) ~1 {USER} ~4 (proven|certain|verified) ~3 (although|even"
        "|when|while|though|not|false)",
        "so that (nobody|no one|noone|they do not) ~2 (notice|notices|sees?|finds? out) ~1 (them"
        "|mistakes?|errors?|lies?)",
        "(impersonate|impersonates|impersonating|pose as|posing as) ~3 (doctor|lawyer|police"
        "|officer|bank|official|expert|support|government|celebrity)",
    ),
}
