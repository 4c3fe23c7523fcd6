# ruff: noqa: RUF001
"""The plainest of these phrases in other languages, by stems: a sample, no cover of any"
" language."""

from __future__ import annotations

# "Ignore the (previous) instructions", by stems, without accents.
INJECTION_ELSEWHERE = (
    "(ignorier\\w*|missacht\\w*|vergiss|vergesst|vergessen sie|verwirf|umgeh\\w*|uberge\\w*) ~4"
    " (anweisung\\w*|instruktion\\w*|regeln|vorgaben|befehle|richtlinien|systemprompt)",
    "(ignor\\w*|oubli\\w*|neglig\\w*|contourn\\w*|ne tiens pas compte|ne tenez pas compte) ~4"
    " (instructions?|consignes?|regles|directives|ordres)",
    "(ignor\\w*|olvid\\w*|desobede\\w*|descart\\w*|haz caso omiso|omite|omita) ~4"
    " (instruccion\\w*|reglas|ordenes|indicaciones|directrices|normas)",
    "(ignor\\w*|esque\\w*|desconsider\\w*|desobede\\w*) ~4 (instrucoes|instrucao|regras|ordens"
    "|comandos|diretrizes|orientacoes)",
    "(ignora\\w*|dimentica\\w*|trascura\\w*) ~4 (istruzion\\w*|regole|ordini|direttive"
    "|indicazioni)",
    "(talimat\\w*|komut\\w*|kural\\w*) ~2 (yok say\\w*|unut\\w*|gormezden gel\\w*|dikkate"
    " alma\\w*)",
    "(abaikan|lupakan) ~4 (instruksi|perintah|aturan)",
    "(negeer|vergeet) ~4 (instructies|regels|opdrachten|aanwijzingen)",
    "(zignoruj|ignoruj|zapomnij) ~4 (instrukcj\\w*|polecen\\w*|zasad\\w*|regul\\w*)",
    "(игнорир\\w*|проигнорир\\w*|забуд\\w*|не обращай\\w*|отбрось\\w*|нарушь\\w*) ~4"
    " (инструкци\\w*|указани\\w*|правил\\w*|команд\\w*|приказ\\w*|распоряжен\\w*)",
)
INJECTION_FREE = (
    "(忽略|无视|無視|忘记|忘記|忘掉|不要理会|不要遵守|绕过|繞過|违反).{0,12}"
    "(指令|指示|规则|規則|提示词|命令)",
    "(指示|命令|ルール|規則|プロンプト|指図).{0,6}(無視|忘れ|従わな)",
    "(지시|명령|규칙|프롬프트|지침).{0,8}(무시|잊)",
    "(系统提示|系統提示|システムプロンプト|시스템 프롬프트)",
    "(تجاهل|انس).{0,12}(التعليمات|الأوامر|القواعد|تعليمات|أوامر)",
    "(निर्देश|आदेश|नियम).{0,16}(अनदेखा|नजरअंदाज|भूल)",
)

# "How to make a bomb, a weapon, drugs; how to kill somebody", by stems, without accents.
UNSAFE_ELSEWHERE: dict[str, tuple[str, ...]] = {
    "weapons": (
        "(bau\\w*|herstell\\w*|bastel\\w*|mach\\w*) ~3 (bombe\\w*|sprengstoff\\w*|waffe\\w*"
        "|granate\\w*)",
        "(bombe\\w*|sprengstoff\\w*|waffe\\w*|sprengsatz) ~3 (bau\\w*|herstell\\w*|bastel\\w*)",
        "(fabri\\w*|constru\\w*|hacer|haz|armar|monta\\w*|faire|crear|creer|costru\\w*|fare) ~3"
        " (bombas?|bombes?|bombe|explosi\\w*|esplosiv\\w*|armas?|armes?|granad\\w*|ordigno)",
        "(сдела\\w*|собра\\w*|изготов\\w*|построи\\w*) ~3 (бомб\\w*|взрывчат\\w*|оружи\\w*"
        "|гранат\\w*)",
    ),
    "drugs": (
        "(drogen|rauschgift|kokain|heroin) ~3 (herstell\\w*|koch\\w*|verkauf\\w*|schmugg\\w*)",
        "(herstell\\w*|koch\\w*|verkauf\\w*|schmugg\\w*) ~3 (drogen|rauschgift|kokain|heroin)",
        "(fabri\\w*|hacer|vend\\w*|cocinar|faire|sintetiz\\w*|synthetis\\w*) ~3 (drogas?|drogues?"
        "|droghe|cocain\\w*|heroin\\w*|metanfetamin\\w*)",
        "(сдела\\w*|свари\\w*|изготов\\w*|прода\\w*) ~3 (наркотик\\w*|героин\\w*|кокаин\\w*)",
    ),
    "violence": (
        "(tote|toten|ermorde\\w*|umbring\\w*|folter\\w*) ~3 (menschen|nachbar\\w*|person\\w*"
        "|frau\\w*"
        "|jemanden|kind\\w*)",
        "(menschen|nachbar\\w*|jemanden|personen) ~2 (totet|toten|ermorde\\w*|umbring\\w*"
        "|folter\\w*)",
        "(matar|asesin\\w*|tortur\\w*|tuer|assassin\\w*|uccid\\w*|ammazz\\w*) ~3 (personas?|alguien"
        "|alguem|quelqu\\w*|personnes?|gens|voisin\\w*|vecin\\w*|vizinh\\w*|qualcuno|gente)",
        "(убить|убива\\w*|убей\\w*) ~3 (человек\\w*|людей|сосед\\w*|кого)",
    ),
}
UNSAFE_FREE: dict[str, tuple[str, ...]] = {
    "weapons": (
        "(制造|制作|製作|製造|造).{0,6}(炸弹|炸彈|炸药|武器|枪支|枪)",
        "(爆弾|爆薬|武器|銃).{0,4}(作り|作る|製造)",
        "(폭탄|무기|총).{0,4}(만드|제조)",
    ),
    "drugs": (
        "(制造|制作|贩卖|製造|合成).{0,6}(毒品|冰毒|海洛因)",
        "(麻薬|覚醒剤).{0,4}(作り|作る|製造)",
    ),
    "violence": ("(怎么|如何|鼓励|教).{0,6}(杀死|杀害|谋杀|殺害|折磨).{0,6}(人|邻居|孩子|老师)",),
    "self-harm": ("(怎么|如何|鼓励).{0,6}(自杀|自殺|自残)", "自殺の?(方法|やり方)"),
}
