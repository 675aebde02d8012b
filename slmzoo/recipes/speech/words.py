"""Words of the demo's sentences by category, with inflection of nouns and verbs."""

from __future__ import annotations

__all__ = ["ONES", "PLURALS", "TENS", "VERBS", "WORDS", "noun", "verb"]


_LISTS: dict[str, str] = {
    "name": """mary john tom anna peter sarah david emma james lucy paul alice henry george robert helen michael laura
        daniel susan thomas julia martin karen simon linda oliver nancy william jane edward kate charles ellen""",
    "person": """man woman boy girl child teacher doctor nurse farmer baker driver king queen soldier sailor captain
        painter singer dancer writer lawyer student neighbor brother sister mother father uncle aunt cousin friend
        guest stranger hunter fisherman gardener butcher waiter clerk guard pilot judge engineer mayor poet actor
        officer worker player leader customer traveler visitor wife husband son daughter grandmother grandfather
        artist builder carpenter mechanic musician scientist tailor policeman manager reporter dentist prince
        princess priest partner""",
    "animal": """dog cat horse cow sheep goat pig hen duck goose bird eagle fox wolf bear lion tiger elephant monkey
        rabbit mouse rat squirrel deer snake frog whale shark spider butterfly donkey camel turtle puppy kitten
        chicken swan parrot""",
    "thing": """book letter box bag basket bottle cup plate knife fork spoon key lamp candle clock watch hat coat shirt
        shoe glove ring coin chair table blanket pillow mirror picture map phone radio camera pencil newspaper
        ticket umbrella hammer ladder rope wheel bell drum guitar violin piano ball kite doll toy flower stone stick
        shell feather flag suitcase wallet scarf jacket dress button needle bucket brush towel tool engine machine
        computer magazine painting statue desk sofa carpet curtain kettle pot bowl tray bicycle boat cart sword
        shield necklace diamond postcard present package envelope""",
    "food": """bread butter cheese milk rice soup sugar honey meat fruit corn fish beef bacon salad pasta chocolate jam
        toast garlic popcorn""",
    "drink": "coffee tea water juice wine beer lemonade milk",
    "snack": """apple orange banana potato tomato egg onion carrot lemon peach pear sandwich pie cookie pancake cake
        grape strawberry mushroom sausage muffin biscuit""",
    "inside": """garden kitchen house school church hospital library market station forest valley village city park
        field barn castle tower museum theater hotel restaurant bakery office factory shop garage cellar bedroom
        bathroom hall yard desert cave harbor prison palace temple tent cottage cabin stable gym""",
    "building": """house school church hospital library station barn castle museum theater hotel restaurant bakery bank
        office factory shop garage palace temple cottage cabin tavern warehouse""",
    "open": "field forest river bridge park street square desert valley garden meadow lake market city village",
    "road": "road street path hill river mountain stairs valley coast",
    "surface": "table floor roof wall shelf bed desk bench chair carpet step grass beach island ground",
    "furniture": "window door fire tree fence gate wall well bush oak mailbox fountain",
    "town": """london paris rome berlin boston chicago texas canada england france spain italy india japan china mexico
        egypt africa america california florida""",
    "day": "monday tuesday wednesday thursday friday saturday sunday",
    "month": "january february march april may june july august september october november december",
    "period": "week month year summer winter spring night weekend",
    "unit": "second minute hour day week month year",
    "daypart": "morning afternoon evening",
    "hour": "one two three four five six seven eight nine ten eleven twelve",
    "meal": "breakfast lunch dinner supper",
    "duty": "school work church breakfast lunch dinner",
    "event": """war storm party meeting concert game lesson holiday wedding winter summer journey speech movie parade
        exam""",
    "small": "two three four five six seven eight nine ten eleven twelve",
    "large": "fifteen sixteen twenty thirty forty fifty sixty seventy eighty ninety",
    "color": "red blue green yellow black white brown gray purple pink golden silver orange",
    "adjp": """old young tall short happy sad tired hungry angry kind quiet brave clever famous friendly lonely nervous
        polite proud rich poor serious shy strange strong weak wise lazy careful honest gentle patient cheerful busy
        curious thirsty foolish rude jealous handsome healthy sick wild calm stubborn generous cruel blind""",
    "adjt": """big small heavy new old broken dirty clean empty beautiful expensive cheap soft hard round square thin
        thick wooden plastic little huge tiny long short wonderful ugly strange sharp shiny rusty fresh simple
        special modern ancient useful valuable lovely perfect common favorite""",
    "adja": """hungry wild little white black brown big fat fast lazy angry gray old young strange clever noisy
        dangerous friendly frightened lost gentle tame enormous""",
    "adjf": "sweet fresh hot cold warm delicious sour bitter salty frozen dry rich spicy tasty",
    "adjo": """dark narrow wide noisy crowded ancient modern quiet old empty dusty peaceful large famous busy lonely
        deep""",
    "comp": """bigger smaller heavier older newer cleaner cheaper stronger longer shorter better worse nicer brighter
        darker softer harder lighter larger thinner""",
    "comp_p": """older younger taller shorter stronger happier smarter faster slower richer poorer kinder braver louder
        quieter wiser funnier""",
    "manner": """slowly quickly quietly loudly carefully happily sadly gently suddenly calmly bravely secretly proudly
        angrily silently softly nervously patiently politely eagerly gladly easily safely alone together again
        immediately""",
    "often": "always often never sometimes usually rarely still finally already almost",
    "really": "really only even just simply certainly probably surely",
    "degree": "very quite rather too so extremely",
    "weather": "cold warm hot windy sunny cloudy rainy foggy stormy freezing dark bright wet",
    "quality": """important interesting possible difficult easy dangerous necessary true wrong funny impossible strange
        terrible exciting boring amazing helpful""",
    "idea": """story song joke question answer idea plan problem truth secret lesson promise mistake dream word poem
        rule reason message language game trick excuse number name""",
    "subject": """music history science art mathematics dancing cooking sports football tennis baseball politics
        religion nature medicine poetry money weather business""",
    "illness": "headache fever cold cough",
    "body": "hand head arm leg foot shoulder face back finger knee neck nose ear eye",
    "nature": "sun moon wind rain snow storm river sea sky star cloud fire",
    "possession": "car house dog horse farm garden boat brother sister friend family job company truck",
    "goods": "car house horse farm boat truck piano violin computer guitar camera necklace jacket suitcase",
    "crowd": "family crowd team class army group audience committee",
    "vehicle": "train bus ship plane car truck taxi boat wagon",
    "move": """walk run jump swim climb travel hurry march dance wander drive ride crawl sail return rush step go come
        move fly race slip sneak stroll""",
    "act": """sleep wait laugh cry smile sing work rest sit stand listen talk shout whisper dream stay read write play
        study pray cough eat drink shop paint cook hide fall relax""",
    "handle": """find lose buy sell carry bring take hold drop break fix clean wash hide keep steal borrow paint draw
        push pull lift throw catch want need like love hate make choose move touch use see notice pack examine
        repair burn bury destroy return collect admire check lock open close paint measure grab kick receive deliver
        design""",
    "consume": "eat cook taste serve order prepare share bake want like love buy bring make smell need hate finish",
    "treat": """help meet call visit follow thank watch invite love know remember forget teach see hear hug kiss trust
        join warn greet admire miss blame chase protect surprise answer marry forgive ignore recognize save hire
        phone support""",
    "hand": "give send show offer sell bring hand lend pass throw",
    "tell": "tell explain forget remember understand hear repeat know learn write read change mention discuss",
    "say": "say think know believe hope hear fear see dream agree guess insist suspect claim promise feel",
    "like": "like love hate enjoy prefer study teach understand discuss",
    "animal_act": "sleep run jump swim bark sing wait rest drink eat climb hide growl fly bite escape play breathe",
    "shine": "shine rise disappear appear fade vanish grow change return",
    "arrive": "arrive leave stop start crash turn depart slow",
    "want": "want try hope plan promise refuse decide learn need begin forget prefer expect",
}

_PLURALS = """
    man/men woman/women child/children mouse/mice goose/geese sheep/sheep deer/deer fish/fish knife/knives
    wife/wives wolf/wolves shelf/shelves potato/potatoes tomato/tomatoes fisherman/fishermen policeman/policemen
    foot/feet
"""

_IRREGULAR = """
    run/ran/run swim/swam/swum drive/drove/driven ride/rode/ridden go/went/gone come/came/come fly/flew/flown
    sneak/sneaked/sneaked sleep/slept/slept sing/sang/sung sit/sat/sat stand/stood/stood read/read/read
    write/wrote/written eat/ate/eaten drink/drank/drunk hide/hid/hidden fall/fell/fallen find/found/found
    lose/lost/lost buy/bought/bought sell/sold/sold bring/brought/brought take/took/taken hold/held/held
    break/broke/broken keep/kept/kept steal/stole/stolen draw/drew/drawn throw/threw/thrown catch/caught/caught
    make/made/made choose/chose/chosen see/saw/seen meet/met/met know/knew/known forget/forgot/forgotten
    teach/taught/taught hear/heard/heard forgive/forgave/forgiven give/gave/given send/sent/sent show/showed/shown
    lend/lent/lent tell/told/told understand/understood/understood say/said/said think/thought/thought
    feel/felt/felt bite/bit/bitten shine/shone/shone rise/rose/risen grow/grew/grown leave/left/left
    begin/began/begun travel/traveled/traveled
"""


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split()))


WORDS: dict[str, tuple[str, ...]] = {name: _split(text) for name, text in _LISTS.items()}
ONES = _split("one two three four five six seven eight nine")
TENS = _split("twenty thirty forty fifty sixty seventy eighty ninety")
PLURALS: dict[str, str] = dict(entry.split("/", 1) for entry in _split(_PLURALS))
VERBS: dict[str, tuple[str, str]] = {
    base: (past, participle) for base, past, participle in (entry.split("/") for entry in _split(_IRREGULAR))
}
_VOWELS = "aeiou"
_DOUBLED = {"begin", "forget", "prefer"}


def noun(word: str, form: str) -> str:
    """Inflect a noun: singular (`form` "") or plural ("p")."""
    if form != "p":
        return word
    return PLURALS.get(word) or _with_s(word)


def verb(word: str, form: str) -> str:
    """Inflect a verb: base (""), third person ("s"), past ("d"), participle ("n") or -ing form ("g")."""
    if form == "s":
        return "goes" if word == "go" else _with_s(word)
    if form == "g":
        return _stem(word) + "ing"
    if form in ("d", "n"):
        irregular = VERBS.get(word)
        return irregular[form == "n"] if irregular else _regular_past(word)
    return word


def _with_s(word: str) -> str:
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh", "z")) else "s")


def _stem(word: str) -> str:
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")):
        return word[:-1]
    return word + word[-1] if _doubles(word) else word


def _regular_past(word: str) -> str:
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ied"
    return word + "d" if word.endswith("e") else _stem(word) + "ed"


def _doubles(word: str) -> bool:
    """Whether the last consonant is doubled: after a single short vowel in one syllable."""
    if word in _DOUBLED:
        return True
    vowels = sum(letter in _VOWELS for letter in word)
    return vowels == 1 and len(word) > 2 and word[-2] in _VOWELS and word[-1] not in "wxy" + _VOWELS
