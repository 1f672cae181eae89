"""What communities publish and what customers write, by theme and language."""

import re
from random import Random
from typing import Literal, get_args

from sandbox.people import Language

Theme = Literal["coffee", "bikes", "school"]
Category = Literal["engaging", "user_generated", "educational", "promotional"]
Kind = Literal["question", "problem", "thanks", "other"]

CATEGORIES: tuple[Category, ...] = get_args(Category)
KINDS: tuple[Kind, ...] = get_args(Kind)

_SENTENCE = re.compile(r"(?:^|[.!?] )\w")
_CATEGORY_WEIGHTS = (38, 29, 24, 9)
_KIND_WEIGHTS = (45, 17, 26, 12)

_SLOTS: dict[tuple[Theme, Language], dict[str, tuple[str, ...]]] = {
    ("coffee", "en"): {
        "item": ("flat white", "filter from Kenya", "cold brew", "cortado", "cardamom latte", "decaf from Colombia"),
        "thing": ("almond croissant", "cinnamon bun", "lemon tart", "banana bread", "oat cookie"),
        "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    },
    ("coffee", "ru"): {
        "item": ("капучино", "фильтр из Кении", "раф с лавандой", "флэт уайт", "колд брю", "какао с перцем"),
        "thing": ("миндальный круассан", "рулет с корицей", "лимонный тарт", "сырник", "овсяное печенье"),
        "day": ("понедельник", "вторник", "среду", "четверг", "пятницу", "субботу"),
    },
    ("bikes", "ru"): {
        "item": ("городской велосипед", "гравийник", "складной велосипед", "детский беговел", "горный хардтейл"),
        "thing": ("набор ключей", "фонарь на руль", "детское кресло", "замок", "термос"),
        "day": ("понедельник", "вторник", "среду", "четверг", "пятницу", "субботу"),
    },
    ("school", "en"): {
        "item": ("Spanish", "German", "Italian", "French", "Portuguese", "Japanese"),
        "thing": ("conversation club", "exam course", "film evening", "pronunciation workshop", "book circle"),
        "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    },
    ("school", "ru"): {
        "item": ("испанский", "немецкий", "итальянский", "французский", "английский", "китайский"),
        "thing": ("разговорный клуб", "курс к экзамену", "киновечер", "семинар по произношению", "книжный круг"),
        "day": ("понедельник", "вторник", "среду", "четверг", "пятницу", "субботу"),
    },
}

_POSTS: dict[tuple[Theme, Language], dict[Category, tuple[str, ...]]] = {
    ("coffee", "en"): {
        "engaging": (
            "{item} or tea on a rainy {day}? Tell us in the comments which side you are on.",
            "Guess how many cups we poured on {day}: the closest guess drinks the next {item} on us. Hint: over {n}.",
            "Describe your morning in three words. Ours: {item}, {thing}, silence.",
        ),
        "user_generated": (
            "Photo by our guest {name}: {item} with a {thing} by the window. Share yours with #cornercoffee!",
            "“I came for a {item} and stayed for {n} pages of my novel.” Thank you for the story, {name}.",
            "{name} has drawn our bar on a napkin, {thing} included. It now hangs by the door.",
        ),
        "educational": (
            "How to brew {item} at home: {n} g of water at 94 °C, a medium grind and patience. Step by step inside.",
            "Why a {item} tastes sour: the grind is too coarse or the water too cold. Three ways to mend it.",
            "What the words on a bag mean, part {n}: washed, natural, honey. Save it for your next {item}.",
        ),
        "promotional": (
            "On {day} every second {item} is half price, and the {thing} is fresh at eight. https://corner.example/menu?d={n}",
            "New on the menu: {item} with a {thing} for {n} pence less than apart. https://corner.example/menu",
        ),
    },
    ("coffee", "ru"): {
        "engaging": (
            "{item} или чай, если в {day} дождь? Пишите в комментариях, на чьей вы стороне.",
            "Угадайте, сколько чашек мы сварили в {day}. Самому меткому — приз: {item}. Подсказка: больше {n}.",
            "Опишите своё утро тремя словами. Наше: {item}, {thing}, тишина.",
        ),
        "user_generated": (
            "Фото от гостя ({name}): {item} и {thing} у окна. Делитесь своими по тегу #кофезерно!",
            "«Кофе, окно и {n} страниц романа». Спасибо за историю, {name}!",
            "Наша стойка на салфетке, даже {thing} видно. Рисует {name}, висит уже у двери.",
        ),
        "educational": (
            "Рецепт на дом, {item}: {n} г воды при 94 °C, средний помол и терпение. По шагам внутри.",
            "Почему кофе кислит: помол крупный или вода холодная. Три способа исправить. На примере: {item}.",
            "Что написано на пачке, часть {n}: мытая, натуральная, хани. Сохраните перед походом за зерном.",
        ),
        "promotional": (
            "В {day} второй {item} за полцены, а {thing} — горячее в восемь утра. https://zerno.example/menu?d={n}",
            "Новое в меню: {item} и {thing} вместе дешевле на {n} рублей. https://zerno.example/menu",
        ),
    },
    ("bikes", "ru"): {
        "engaging": (
            "Куда едем в {day}: лес, набережная или дача? Голосуем в комментариях, {item} берём с собой.",
            "Сколько километров вы накатали за неделю? У механика {n}, и всё с собой: {thing}, насос, бутерброд.",
            "Опишите свой {item} одним словом. Лучшее слово напишем мелом у входа.",
        ),
        "user_generated": (
            "Закатный заезд, снимает {name}: {item} и {n} километров позади. Ждём ваши кадры по тегу #велодвор!",
            "«Из двух старых вышел один {item}, за {n} вечеров». Рассказывает {name}, снимаем шляпу!",
            "Вот так {name} возит на работу кота. {item} не против, кот тоже.",
        ),
        "educational": (
            "Как проверить цепь за минуту: линейка, {n} звеньев и немного света. Показываем на примере: {item}.",
            "Давление в шинах: {item}, вес {n} кг и мокрый асфальт. Таблица и три правила внутри.",
            "Что взять в дорогу: {thing}, латки, перчатки. Список на {n} километров.",
        ),
        "promotional": (
            "До конца недели {item} со скидкой, а {thing} в подарок. Осталось {n} штук. https://velodvor.example/sale",
            "Весенний осмотр за {n} рублей в {day}: тормоза, цепь, колёса. https://velodvor.example/service",
        ),
    },
    ("school", "en"): {
        "engaging": (
            "Which {item} word do you love for its sound alone? Ours comes on {day}.",
            "Translate “rainy {day}” into {item} without a dictionary. Best of {n} answers gets a free lesson.",
            "Two truths and a lie about {item} grammar. Which one is the lie?",
        ),
        "user_generated": (
            "{name} passed the {item} exam after {n} lessons. Here is the letter we got this morning.",
            "Postcard from {name}: “I ordered dinner in {item} and they understood!”",
            "Homework of the week by {name}: a poem in {item}, {n} lines and not one mistake.",
        ),
        "educational": (
            "{n} false friends between English and {item}, with examples. Save before your trip.",
            "Why our {thing} starts with listening: your ear learns {item} before your tongue.",
            "The {item} past tense in one picture, part {n}.",
        ),
        "promotional": (
            "{n} places left in the {item} {thing} starting on {day}. https://lingua.example/join",
            "Bring a friend on {day} and the {item} course costs both of you {n} % less. https://lingua.example/two",
        ),
    },
    ("school", "ru"): {
        "engaging": (
            "Какое слово в языке, который вы учите ({item}), самое красивое на слух? Наше покажем в {day}.",
            "Переведите «в {day} дождь» без словаря. Язык: {item}. Лучшему из {n} ответов — урок в подарок.",
            "Две правды и одна ложь про {item}. Где ложь?",
        ),
        "user_generated": (
            "{name} и {item}: экзамен сдан после {n} уроков. Вот письмо, которое пришло утром.",
            "Открытка, подпись {name}: «На заказ ужина хватило! Учу {item} уже {n} недель».",
            "Домашняя работа недели, автор {name}: стихотворение, {item}, {n} строк и ни одной ошибки.",
        ),
        "educational": (
            "{n} ложных друзей переводчика, {item}. Сохраните перед поездкой.",
            "Почему {item} начинаем со слуха: ухо учится раньше языка. Разбор и {n} упражнений.",
            "Прошедшее время ({item}) на одной картинке, часть {n}.",
        ),
        "promotional": (
            "Осталось {n} мест на {thing} ({item}), старт в {day}. https://lingua.example/ru",
            "Приходите с другом в {day}: {item} дешевле на {n} % для обоих. https://lingua.example/two",
        ),
    },
}

_CUSTOMER: dict[Language, dict[Kind, tuple[str, ...]]] = {
    "en": {
        "question": (
            "Are you open on {day}?", "How much is the {item} now?", "Do you have {item} for {n} people?",
            "Can I book for {day} at {h}?", "Is there still a place for {item}?", "Where exactly are you?",
        ),
        "problem": (
            "My order number {n} has not come. What now?", "I waited {n} minutes on {day} and left.",
            "I was charged twice for the {item}.", "Your site shows an error when I choose {day}.",
        ),
        "thanks": (
            "Thank you for the {item}, it was lovely!", "Best {item} in town.", "{day} was great, thank you all!",
        ),
        "other": ("Ha, so true.", "Saving this.", "My grandmother says the same about {item}."),
    },
    "ru": {
        "question": (
            "Вы работаете в {day}?", "Сколько сейчас стоит {item}?", "Есть ли {item} на {n} человек?",
            "Можно записаться на {day} к {h}?", "Ещё есть места на {item}?", "А где вы находитесь?",
        ),
        "problem": (
            "Заказ номер {n} так и не пришёл. Что делать?", "В {day} ждал {n} минут и ушёл.",
            "С меня дважды списали за {item}.", "Сайт выдаёт ошибку, когда выбираю {day}.",
        ),
        "thanks": (
            "Спасибо за {item}, всё чудесно!", "{item} — лучшее, что есть в городе.", "Чудесно было в {day}!",
        ),
        "other": ("Ха, точно.", "Сохраню себе.", "Бабушка то же говорит про {item}."),
    },
}  # fmt: skip

_ANSWERS: dict[Language, dict[Kind, tuple[str, ...]]] = {
    "en": {
        "question": ("Yes, and we will be glad to see you!", "Sure. We have written you the details.", "From {h} on."),
        "problem": ("We are sorry. We are looking into it now.", "Our mistake: the money is on its way back."),
        "thanks": ("Thank you, come again!", "That made our day."),
        "other": ("True!", "Ha, yes."),
    },
    "ru": {
        "question": ("Да, будем рады!", "Конечно, подробности написали вам.", "С {h} и до вечера."),
        "problem": ("Простите нас. Уже разбираемся.", "Наша ошибка: деньги возвращаются к вам."),
        "thanks": ("Спасибо, приходите ещё!", "Вы сделали наш день."),
        "other": ("Так и есть!", "Ха, да."),
    },
}


def category(rng: Random) -> Category:
    """A random category, weighted like a typical content plan."""
    return rng.choices(CATEGORIES, _CATEGORY_WEIGHTS)[0]


def kind(rng: Random) -> Kind:
    """The random kind of a customer's message."""
    return rng.choices(KINDS, _KIND_WEIGHTS)[0]


def post(rng: Random, theme: Theme, language: Language, of: Category, name: str) -> str:
    """A post's text in that category; `name` is inserted as a guest's name."""
    return _filled(rng, rng.choice(_POSTS[theme, language][of]), theme, language, name)


def customer(rng: Random, theme: Theme, language: Language, of: Kind) -> str:
    """The text of a customer's message."""
    return _filled(rng, rng.choice(_CUSTOMER[language][of]), theme, language, "")


def answer(rng: Random, theme: Theme, language: Language, to: Kind) -> str:
    """The text of the community's reply to a message of that kind."""
    return _filled(rng, rng.choice(_ANSWERS[language][to]), theme, language, "")


def _filled(rng: Random, template: str, theme: Theme, language: Language, name: str) -> str:
    slots = {slot: rng.choice(values) for slot, values in _SLOTS[theme, language].items()}
    text = template.format(**slots, name=name, n=rng.randint(11, 97), h=f"{rng.randint(9, 19)}:00")
    return _SENTENCE.sub(lambda start: start[0].upper(), text)
