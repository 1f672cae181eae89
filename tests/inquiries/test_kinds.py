"""Classification of customers' messages."""

import pytest

from app.inquiries.kinds import kind_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Сколько стоит капучино?", "question"),
        ("Подскажите, есть ли у вас доставка", "question"),
        ("Здравствуйте! Когда вы открываетесь", "question"),
        ("how much is a filter coffee", "question"),
        ("Hi, do you take cards", "question"),
        ("Третий день не работает сайт", "problem"),
        ("Ещё не привезли мой заказ, когда будет?", "problem"),
        ("Верните деньги!", "problem"),
        ("My order never arrived", "problem"),
        ("The app doesn't open", "problem"),
        ("Where is my parcel?", "problem"),
        ("Спасибо, всё отлично!", "thanks"),
        ("Как всегда вкусно, благодарю", "thanks"),
        ("Thank you so much", "thanks"),
        ("Спасибо! А завтра работаете?", "question"),
        ("Ок", "other"),
        ("", "other"),
    ],
)
def test_a_single_message(text: str, kind: str) -> None:
    assert kind_of([text]) == kind


def test_of_several_messages_the_first_kind_in_order_counts() -> None:
    assert kind_of(["Спасибо!", "А где меню?", "Ок"]) == "question"
    assert kind_of(["А где меню?", "Приложение сломалось", "Спасибо"]) == "problem"
    assert kind_of([]) == "other"
