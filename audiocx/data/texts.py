"""What the synthetic voices say: word salads, numbers and invented words, in the script a voice reads.

Meaning does not matter here; variety of sounds and of sentence melody does. Where a language's common words
are listed, sentences are put together from them; elsewhere words are invented from the syllables of its
script, and numbers, which espeak speaks in every language, stand between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def _words(text: str) -> list[str]:
    return text.split()


WORDS = {
    "en": _words("""
        the quick brown fox jumps over lazy dogs while seven children watch from their garden wall we
        should have brought another thick blanket because tonight will be much colder than usual she
        measured both ships with great joy before breakfast though nobody asked him which village church
        bell rang yesterday evening judge young oil voices usually think through every vision of sugar
        and azure water please choose something warm enough for such a long journey across northern
        hills
    """),
    "de": _words("""
        der kleine junge läuft schnell durch den grünen wald und sucht seine schwester am fluss heute
        abend möchten wir gemeinsam essen obwohl niemand das fenster geöffnet hat zwölf boxkämpfer jagen
        viktor quer über den großen sylter deich manche züge fahren pünktlich ab ich höre leise musik
        hinter der tür
    """),
    "fr": _words("""
        le petit garçon court vers la grande maison où sa mère prépare un bon repas demain nous irons
        voir la mer avec quelques amis parce que les jours deviennent plus longs chaque voyageur cherche
        une lumière douce peut-être que le jeune homme viendra chez vous jeudi soir pour entendre cette
        belle histoire
    """),
    "es": _words("""
        el niño pequeño corre hacia la casa grande donde su madre prepara una buena comida mañana iremos
        a ver el mar con algunos amigos porque los días son más largos cada viajero busca una luz suave
        quizá el joven venga el jueves por la noche para escuchar aquella historia de la guerra y los
        pájaros
    """),
    "it": _words("""
        il bambino corre verso la grande casa dove sua madre prepara un buon pranzo domani andremo a
        vedere il mare con alcuni amici perché i giorni diventano più lunghi ogni viaggiatore cerca una
        luce dolce forse il giovane verrà giovedì sera per ascoltare quella bella storia degli
        scoiattoli e della luna
    """),
    "nl": _words("""
        de kleine jongen loopt snel door het groene bos en zoekt zijn zuster bij de rivier vanavond
        willen wij samen eten hoewel niemand het raam heeft geopend sommige treinen vertrekken precies
        op tijd ik hoor zachte muziek achter deze deur en buiten schijnt geen goede zon meer
    """),
    "pt": _words("""
        o menino pequeno corre para a casa grande onde sua mãe prepara uma boa refeição amanhã vamos ver
        o mar com alguns amigos porque os dias são mais longos cada viajante procura uma luz suave
        talvez o jovem venha na quinta feira para ouvir aquela história do coração e dos pássaros
    """),
    "sv": _words("""
        den lilla pojken springer fort genom den gröna skogen och söker sin syster vid floden ikväll
        vill vi äta tillsammans fast ingen har öppnat fönstret några tåg går alltid i tid jag hör sakta
        musik bakom dörren och sju sjösjuka sjömän sköljde skjortor
    """),
    "pl": _words("""
        mały chłopiec szybko biegnie przez zielony las i szuka swojej siostry nad rzeką dziś wieczorem
        chcemy razem zjeść kolację choć nikt nie otworzył okna niektóre pociągi odjeżdżają punktualnie
        słyszę cichą muzykę za drzwiami chrząszcz brzmi w trzcinie
    """),
    "fi": _words("""
        pieni poika juoksee nopeasti vihreän metsän läpi ja etsii siskoaan joen rannalta tänä iltana
        haluamme syödä yhdessä vaikka kukaan ei ole avannut ikkunaa jotkut junat lähtevät ajallaan
        kuulen hiljaista musiikkia oven takaa yö on pimeä ja tähdet näkyvät
    """),
    "tr": _words("""
        küçük çocuk yeşil ormanda hızla koşuyor ve nehir kıyısında kız kardeşini arıyor bu akşam
        birlikte yemek yemek istiyoruz ama kimse pencereyi açmadı bazı trenler tam zamanında kalkıyor
        kapının arkasında hafif bir müzik duyuyorum güneş yavaşça batıyor
    """),
    "ru": _words("""
        маленький мальчик быстро бежит через зелёный лес и ищет свою сестру у реки сегодня вечером мы
        хотим вместе поужинать хотя никто не открыл окно некоторые поезда уходят вовремя я слышу тихую
        музыку за дверью щука живёт в глубоком озере
    """),
}
"""Common words by language, in sentences only so that they are easy to read here."""

_ONSETS = {
    "latin": _words("""
        b d f g h k l m n p r s t v z br dr fl gr kl kr pl pr sk sp st tr
    """),
    "cyrillic": _words("""
        б в г д ж з к л м н п р с т ф х ц ч ш бр гр др кл пл ст сп тр
    """),
    "greek": _words("""
        β γ δ ζ θ κ λ μ ν π ρ σ τ φ χ ψ κλ πρ στ τρ
    """),
    "hebrew": _words("""
        ב ג ד ז ח ט כ ל מ נ ס פ צ ק ר ש ת
    """),
    "arabic": _words("""
        ب ت ج ح خ د ر ز س ش ص ط ع ف ق ك ل م ن ه
    """),
    "georgian": _words("""
        ბ გ დ ვ ზ თ კ ლ მ ნ პ რ ს ტ ფ ქ ყ შ ჩ ც ხ ჯ
    """),
    "armenian": _words("""
        բ գ դ զ թ լ խ կ հ ձ ղ ճ մ յ ն շ չ պ ջ ս վ տ ր ց ք
    """),
}
_NUCLEI = {
    "latin": ["a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "au"],
    "cyrillic": ["а", "е", "и", "о", "у", "ы", "я", "ю"],
    "greek": ["α", "ε", "η", "ι", "ο", "υ", "ω", "ου", "αι"],
    "hebrew": ["א", "ו", "י"],
    "arabic": ["ا", "و", "ي"],
    "georgian": ["ა", "ე", "ი", "ო", "უ"],
    "armenian": ["ա", "ե", "ի", "ո", "ու"],
    "kana": list(
        "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわがぎぐげごだでどばびぶべぼ"
    ),
    "han": list(
        "我你他们今天明去来学校吃饭喝水大小人上下中国山河火车书看听说话朋友家里快乐春夏秋冬风雨花鸟早晚东西南北"
    ),
    "hangul": [
        chr(0xAC00 + 588 * onset + 28 * nucleus) for onset in range(19) for nucleus in (0, 4, 8, 13, 18, 20)
    ],
    "ethiopic": [
        chr(0x1200 + 8 * row + vowel) for row in (0, 1, 3, 5, 6, 8, 12, 14, 18) for vowel in range(6)
    ],
}
_CODAS = {
    "latin": ["", "", "", "n", "r", "s", "l", "m", "k", "t"],
    "cyrillic": ["", "", "", "н", "р", "с", "л", "й", "т", "к"],
    "greek": ["", "", "", "ς", "ν"],
    "hebrew": ["", "", "ן", "ר", "ל"],
    "arabic": ["", "", "ن", "ر", "ل", "س"],
    "georgian": ["", "", "ნ", "რ", "ს", "ლ"],
    "armenian": ["", "", "ն", "ր", "ս", "կ"],
}

# Indic scripts share one layout: the same offsets from the beginning of their block.
_INDIC_BASE = {
    "devanagari": 0x900,
    "bengali": 0x980,
    "gurmukhi": 0xA00,
    "gujarati": 0xA80,
    "tamil": 0xB80,
    "telugu": 0xC00,
    "kannada": 0xC80,
    "malayalam": 0xD00,
}
_INDIC_CONSONANTS = (0x15, 0x1A, 0x24, 0x28, 0x2A, 0x2E, 0x2F, 0x30, 0x32, 0x38, 0x39)
_INDIC_VOWEL_SIGNS = (0x3E, 0x3F, 0x40, 0x41, 0x42)

_SCRIPTS = {
    "cyrillic": _words("""
        ru uk be bg mk kk ky tt ba cv
    """),
    "greek": _words("""
        el
    """),
    "hebrew": _words("""
        he
    """),
    "arabic": _words("""
        ar fa ur ug sd
    """),
    "georgian": _words("""
        ka
    """),
    "armenian": _words("""
        hy
    """),
    "kana": _words("""
        ja
    """),
    "han": _words("""
        cmn yue
    """),
    "hangul": _words("""
        ko
    """),
    "ethiopic": _words("""
        am ti
    """),
    "devanagari": _words("""
        hi mr ne kok
    """),
    "bengali": _words("""
        bn as
    """),
    "gurmukhi": _words("""
        pa
    """),
    "gujarati": _words("""
        gu
    """),
    "tamil": _words("""
        ta
    """),
    "telugu": _words("""
        te
    """),
    "kannada": _words("""
        kn
    """),
    "malayalam": _words("""
        ml
    """),
}
SCRIPT_OF = {language: script for script, languages in _SCRIPTS.items() for language in languages}
"""Script by language; those not listed read Latin letters."""


def _pick(random: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(random.integers(len(choices)))]


def syllable(random: np.random.Generator, script: str) -> str:
    """Invent one syllable of a script."""
    if script in _INDIC_BASE:
        base = _INDIC_BASE[script]
        consonant = _INDIC_CONSONANTS[int(random.integers(len(_INDIC_CONSONANTS)))]
        sign = _INDIC_VOWEL_SIGNS[int(random.integers(len(_INDIC_VOWEL_SIGNS)))]
        return chr(base + consonant) + (chr(base + sign) if random.random() < 0.75 else "")
    coda = _pick(random, _CODAS[script]) if script in _CODAS else ""
    return _pick(random, _ONSETS.get(script, [""])) + _pick(random, _NUCLEI[script]) + coda


def invented_word(random: np.random.Generator, script: str) -> str:
    """Invent a word of one to four syllables."""
    return "".join(syllable(random, script) for _ in range(int(random.integers(1, 5))))


def number(random: np.random.Generator) -> str:
    """Write a number of one to five digits, as a voice of any language can speak it."""
    return str(int(10 ** random.uniform(0.3, 5.0)))


def sentence(random: np.random.Generator, language: str) -> str:
    """Put a sentence of 4 to 11 words together, with commas and an ending that give it a melody.

    Args:
        random: where the choices come from.
        language: base language code, as `en` or `cmn`.
    """
    script = SCRIPT_OF.get(language, "latin")
    sources: list[Callable[[], str]] = [lambda: invented_word(random, script), lambda: number(random)]
    shares = [0.85, 0.15]
    if language in WORDS:
        words = WORDS[language]
        sources.insert(0, lambda: _pick(random, words))
        shares = [0.75, 0.2, 0.05]
    count = int(random.integers(4, 12))
    spoken = [sources[int(random.choice(len(sources), p=shares))]() for _ in range(count)]
    for place in range(2, count - 1):
        if random.random() < 0.12:
            spoken[place] += ","
    return " ".join(spoken) + _pick(random, [".", ".", ".", "?", "!"])
