"""Writes what someone might say of a scene: a few of the things there, in everyday English."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.things import Thing

LEAST_SHARE = 0.008
"""A class is named only where it covers at least this share of the picture."""
LEAST_THING = 0.004
"""A single thing is spoken of only where this share of the picture shows it."""


@dataclass(frozen=True)
class Facts:
    """What there is to say."""

    shares: Mapping[str, float]
    """Share of the picture each class covers, 0..1; absent classes left out."""
    things: tuple[Thing, ...]
    """Things that are seen well enough to be spoken of."""
    light: str
    """Name of the light."""


_SURFACE: Mapping[str, tuple[str, ...]] = {
    "sky": ("the sky", "the open sky"),
    "mountain": (
        "a mountain",
        "the mountains",
        "mountains",
        "a hill",
        "hills",
        "mountain peaks",
        "a peak",
    ),
    "tree": ("trees", "some trees", "a forest", "the trees", "the woods"),
    "grass": ("grass", "the grass", "a lawn", "a meadow", "a field", "a pasture"),
    "flower": ("flowers", "wildflowers", "colorful flowers", "blossoms", "a flower bed"),
    "road": ("a road", "the road", "a street", "a path", "the pavement"),
    "sand": ("sand", "the sand", "a beach", "sandy beach", "dunes"),
    "snow": ("snow", "the snow", "deep snow", "fresh snow"),
    "water": ("water", "the water", "a lake", "the sea", "a river", "the ocean"),
    "building": ("buildings", "a building", "houses", "a house"),
    "fence": ("a fence", "a railing"),
}
_ON: Mapping[str, tuple[str, ...]] = {
    "grass": ("on the grass", "in a field", "on the lawn", "in a meadow", "across the grass"),
    "flower": ("among the flowers", "in a bed of flowers", "in the wildflowers"),
    "road": (
        "on the road",
        "on the street",
        "in the street",
        "on a path",
        "on the pavement",
        "on the asphalt",
    ),
    "sand": ("on the beach", "on the sand", "in the sand", "on a sandy beach"),
    "snow": ("in the snow", "on the snow", "in deep snow"),
    "water": ("on the water", "on the lake", "on the sea", "in the water", "on the river"),
    "sky": ("in the sky", "through the sky", "across the sky"),
}
_DOING: Mapping[str, tuple[str, ...]] = {
    "walking": ("walking", "strolling", "taking a walk", "going for a walk"),
    "running": ("running", "jogging", "racing"),
    "sitting": ("sitting", "resting"),
    "lying": ("lying", "resting"),
    "grazing": ("grazing", "eating", "feeding"),
    "trotting": ("trotting", "running", "galloping"),
    "flying": ("flying", "soaring", "gliding"),
    "swimming": ("swimming", "floating", "paddling"),
    "floating": ("floating", "sailing", "drifting", "at rest"),
    "side": ("parked", "driving", "standing", "stopped"),
    "end": ("driving", "parked", "coming"),
    "riding": ("riding",),
    "ridden": ("walking", "trotting"),
    "standing": ("standing", "waiting", "resting"),
}
_MANY: Mapping[str, tuple[str, ...]] = {
    "person": ("people", "some people", "a group of people"),
    "dog": ("dogs", "some dogs"),
    "horse": ("horses", "some horses"),
    "bird": ("birds", "a flock of birds", "some birds"),
    "car": ("cars", "several cars", "some cars"),
    "bus": ("buses",),
    "boat": ("boats", "some boats", "several boats"),
    "building": ("buildings", "some buildings"),
    "tree": ("trees", "some trees", "tall trees"),
    "fence": ("fences",),
}
_BEHIND: Mapping[str, tuple[str, ...]] = {
    "sky": ("under {a_sky} sky", "under the sky", "against the {sky} sky", "below {a_sky} sky"),
    "mountain": ("with mountains in the background", "in front of a mountain", "below the hills",
                 "with a mountain behind", "and distant peaks"),
    "tree": ("near the trees", "next to a tree", "by some trees", "in front of the woods",
             "with trees behind", "at the edge of a forest"),
    "grass": ("near the grass", "by a meadow", "beside a field", "next to a lawn"),
    "flower": ("near some flowers", "beside the flowers", "with flowers around"),
    "road": ("by the road", "next to a street", "beside a path", "along the road"),
    "sand": ("by the beach", "near the sand", "along a beach"),
    "snow": ("with snow around", "next to the snow", "in a snow landscape"),
    "water": ("by the water", "near a lake", "next to the sea", "by the river", "near the ocean"),
    "building": ("in front of a building", "near a house", "with buildings behind",
                 "next to some houses", "outside a building"),
    "fence": ("by a fence", "behind a fence", "next to the fence", "near a railing"),
}  # fmt: skip
_SKIES: Mapping[str, tuple[str, ...]] = {
    "clear": ("blue", "clear", "bright", "sunny"), "cloudy": ("cloudy", "partly cloudy", "blue"),
    "overcast": ("grey", "overcast", "cloudy"), "fog": ("misty", "pale", "hazy"),
    "golden": ("golden", "warm", "evening"), "sunset": ("red", "orange", "sunset", "glowing"),
    "dusk": ("dark", "evening", "purple"), "night": ("night", "dark", "black"),
    "storm": ("stormy", "dark", "grey"),
}  # fmt: skip
_WHEN: Mapping[str, tuple[str, ...]] = {
    "clear": ("on a sunny day", "in the sunshine"), "cloudy": ("on a mild day", "in the daytime"),
    "overcast": ("on a grey day", "on a dull day"), "fog": ("in the fog", "on a misty morning"),
    "golden": ("in the evening light", "late in the day"), "sunset": ("at sunset", "at dawn"),
    "dusk": ("at dusk", "in the evening"), "night": ("at night", "after dark"),
    "storm": ("before a storm", "in bad weather"),
}  # fmt: skip
_OPENING = (
    "",
    "",
    "",
    "",
    "a photo of ",
    "a picture of ",
    "there is ",
    "a view of ",
    "an image of ",
)
_COUNTS = {2: "two", 3: "three", 4: "four"}
_PLURALS = {"man": "men", "woman": "women", "bus": "buses", "person": "people"}
_TREE_WORDS = {"broad": "tree", "bare": "tree"}


def write_captions(facts: Facts, dice: Dice, count: int = 5) -> tuple[str, ...]:
    """Write captions that name one to four of the classes a scene shows, and nothing else."""
    captions: list[str] = []
    for _ in range(count * 4):
        caption = _caption(facts, dice)
        if caption not in captions:
            captions.append(caption)
        if len(captions) == count:
            return tuple(captions)
    return tuple(captions + [captions[-1]] * (count - len(captions)))


def _caption(facts: Facts, dice: Dice) -> str:
    shown = {name: share for name, share in facts.shares.items() if share >= LEAST_SHARE}
    if not shown:
        shown = dict(facts.shares)
    things = [thing for thing in facts.things if thing.kind in shown]
    facts = replace(facts, things=tuple(things))
    if things and dice.chance(0.8):
        body = _about_thing(facts, dice, shown, things)
    else:
        body = _about_place(facts, dice, shown)
    if dice.chance(0.22):
        body = f"{body} {dice.pick(_WHEN[facts.light])}"
    opening = dice.pick(_OPENING)
    if opening == "there is " and not body.startswith(("a ", "an ")):
        opening = ""
    return opening + body


def _weights(shown: Mapping[str, float], without: set[str]) -> dict[str, float]:
    """Large areas are spoken of more, but far from in proportion."""
    return {
        name: 0.25 + share**0.5 for name, share in shown.items()
        if name not in without and name in _BEHIND
    }  # fmt: skip


def _article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _subject(dice: Dice, thing: Thing, alike: list[Thing]) -> str:
    """A noun phrase for one thing, or for all of its kind."""
    word = _TREE_WORDS.get(thing.word, thing.word)
    if len(alike) >= 2 and dice.chance(0.6):
        same = all(entry.word == thing.word for entry in alike)
        noun = thing.word if same and thing.word in _PLURALS else thing.kind
        if dice.chance(0.4):
            return f"{_COUNTS.get(len(alike), 'several')} {_PLURALS.get(noun, noun + 's')}"
        return dice.pick(_MANY[thing.kind])
    if thing.kind == "person" and dice.chance(0.2):
        word = "person"
    elif dice.chance(0.3):
        word = thing.kind
    if thing.kind == "person":
        dress = thing.colour and dice.chance(0.2)
        return f"{_article(word)} in {thing.colour}" if dress else _article(word)
    if thing.colour and thing.kind != "boat" and dice.chance(0.4):
        return _article(f"{thing.colour} {word}")
    if dice.chance(0.12):
        return _article(f"{dice.pick(('small', 'large', 'lone', 'big'))} {word}")
    return _article(word)


def _about_thing(facts: Facts, dice: Dice, shown: Mapping[str, float], things: list[Thing]) -> str:
    kinds = {thing.kind: 0.35 + shown[thing.kind] ** 0.5 for thing in things}
    for quiet in ("tree", "building"):
        if quiet in kinds:
            kinds[quiet] *= 0.5
    kind = dice.weighted(kinds)
    alike = [thing for thing in things if thing.kind == kind]
    thing = dice.pick(alike)
    named = {kind}
    text = _event(facts, dice, thing)
    if text:
        named |= {"horse"} if "horse" in text else {"dog"} if "dog" in text else {"boat"}
    else:
        text = _subject(dice, thing, alike)
        if dice.chance(0.7) and kind not in ("tree", "building", "fence"):
            text = f"{text} {dice.pick(_DOING[thing.action])}"
    others = {name: weight for name, weight in kinds.items() if name not in named}
    if others and dice.chance(0.3) and len(named) < 2:
        other = dice.weighted(others)
        second = [entry for entry in things if entry.kind == other]
        joint = dice.pick(("and", "and", "with", "next to", "near"))
        text = f"{text} {joint} {_subject(dice, dice.pick(second), second)}"
        named.add(other)
    if thing.support in shown and kind != "building" and dice.chance(0.62):
        text = f"{text} {dice.pick(_ON[thing.support])}"
        named.add(thing.support)
    places = _weights(shown, named)
    if places and len(named) < 4 and dice.chance(0.5):
        text = f"{text} {_setting(facts, dice, dice.weighted(places))}"
    return text


def _event(facts: Facts, dice: Dice, thing: Thing) -> str:
    """Riding, walking a dog, sitting in a boat: something two things do together, or nothing."""
    if thing.kind != "person" and thing.kind not in ("dog", "horse"):
        return ""
    by_number = {entry.number: entry for entry in facts.things}
    for entry in facts.things:
        partner = by_number.get(entry.partner)
        if partner is None or thing.number not in (entry.number, partner.number):
            continue
        if entry.kind == "person" and partner.kind == "horse":
            return f"a {entry.word} riding {_article(partner.word)}"
        if entry.kind == "person" and partner.kind == "boat":
            return f"a {entry.word} sitting in a boat"
        whose = {"man": "his", "boy": "his"}.get(partner.word, "her")
        return dice.pick((
            f"a {partner.word} walking {whose} dog", f"a {partner.word} with a dog",
            f"a {partner.word} and a dog",
        ))  # fmt: skip
    return ""


def _setting(facts: Facts, dice: Dice, name: str) -> str:
    sky = dice.pick(_SKIES[facts.light])
    return dice.pick(_BEHIND[name]).format(sky=sky, a_sky=_article(sky))


def _about_place(facts: Facts, dice: Dice, shown: Mapping[str, float]) -> str:
    first = dice.weighted(_weights(shown, set()) or {next(iter(shown)): 1.0})
    if first not in _SURFACE:
        return _article(first)
    text = dice.pick(_SURFACE[first])
    if first == "sky":
        text = f"the {dice.pick(_SKIES[facts.light])} sky"
    named = {first}
    form = dice.weighted({"alone": 1.0, "list": 2.0, "setting": 3.0, "both": 1.5})
    if form in ("list", "both"):
        rest = _weights(shown, named)
        if rest:
            second = dice.weighted(rest)
            joint = "under" if second == "sky" else dice.pick(("and", "with", "beside"))
            text = f"{text} {joint} {dice.pick(_SURFACE[second])}"
            named.add(second)
    if form in ("setting", "both"):
        rest = _weights(shown, named)
        if rest:
            text = f"{text} {_setting(facts, dice, dice.weighted(rest))}"
    return text
