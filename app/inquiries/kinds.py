"""Classifies what a customer wants, by rules over the text.

Of all messages of one customer in a thread, the first of these kinds that occurs counts:

1. problem: it names a fault, a complaint or a delay: "не работает", "сломал…", "верните",
   "жалоба", "where is my order", "broken", "refund" …
2. question: it has a question mark, or starts a sentence with a question word: "сколько", "как",
   "где", "когда", "подскажите", "how", "where", "can I" …
3. thanks: it thanks or praises: "спасибо", "благодар…", "thank", "love it" …
4. other: none of these.

A problem put as a question is a problem; thanks that ask for something are a question. A person's
classification is never overwritten. Russian and English; ё counts as е.
"""

import re
from collections.abc import Iterable
from typing import Final

from app.inquiries.models import InquiryKind

_PROBLEM: Final = re.compile(
    r"""\b(
      не\s+(?:работа|прив[её]з|открыва|загружа|приш|получ|достав|дозвон|отвеча|могу|мог[ул]|хватает|включа|грузи)\w*
    | сломал\w* | сломан\w* | полома\w* | брак | бракован\w* | испорч\w* | ошибк\w* | глюч\w* | зависа\w*
    | проблем\w* | жалоб\w* | жалу\w* | претензи\w* | верните | возврат\w* | обман\w* | ужас\w* | отврат\w*
    | кошмар\w* | хам(?:ств|ил|ят|к)\w* | опозда\w* | задерж\w* | до\s+сих\s+пор\s+н[еи]\w* | разочаров\w*
    | broke | broken | bug | bugs | faulty | defect\w* | damaged | refund\w* | complain\w* | problem\w* | issue | issues
    | error | errors | fail(?:s|ed|ing|ure)? | crash\w* | scam | terrible | awful | horrible | disappoint\w*
    | late | delayed | wrong | missing | unacceptable | rude
    | (?:does|did|is|was|do|can|will)(?:n['’]?t|\s+not)\s+(?:work|open|load|arriv|deliver|receiv|log|get)\w*
    | not\s+working | never\s+(?:arrived|came|received) | where\s+is\s+my | still\s+(?:waiting|no|not|haven['’]?t)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_QUESTION: Final = re.compile(
    r"""[?？] | (?:^|[.!,;:\n]\s*|\b(?:а|и|но|hi|hello|здравствуйте|привет|добрый\s+день)[\s,!.]+)
    (?: сколько | как(?!\s+(?:всегда|обычно|раз|же|вкусно|красиво|хорошо|здорово)) | каков\w* | какой | какая | какие
      | какое | каким | где | куда | откуда | когда | почему | зачем | кто | чей | можно | есть\s+ли | будет\s+ли
      | подскажите | скажите | интересует | почем
      | how | what | when | where | why | who | which | whose | can\s+(?:i|you|we) | could\s+(?:i|you|we) | do\s+you
      | does\s+(?:it|this|the) | is\s+(?:it|there|this) | are\s+(?:you|there|these) | will\s+(?:you|it|there)
      | may\s+i | would\s+you | any\s+chance | tell\s+me )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_THANKS: Final = re.compile(
    r"""\b( спасибо | спс | благодар\w* | молодц\w* | супер | класс | классн\w* | отличн\w* | прекрасн\w*
    | замечательн\w* | чудесн\w* | обожаю | люблю\s+вас | вы\s+лучшие | очень\s+вкусно | понравил\w* | рекомендую
    | thank\w* | thx | cheers | great | awesome | amazing | excellent | wonderful | love\s+(?:it|this|you|your)
    | well\s+done | perfect | brilliant | appreciate\w* )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def kind_of(texts: Iterable[str]) -> InquiryKind:
    """The kind of one customer's messages together: problem over question over thanks over other."""
    kinds = {_kind_of_text(text.replace("ё", "е").replace("Ё", "Е")) for text in texts}
    return next(
        (kind for kind in (InquiryKind.PROBLEM, InquiryKind.QUESTION, InquiryKind.THANKS) if kind in kinds),
        InquiryKind.OTHER,
    )


def _kind_of_text(text: str) -> InquiryKind:
    if _PROBLEM.search(text):
        return InquiryKind.PROBLEM
    if _QUESTION.search(text):
        return InquiryKind.QUESTION
    if _THANKS.search(text):
        return InquiryKind.THANKS
    return InquiryKind.OTHER
