"""The words of a prompt in each of the nine languages."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a prompt says in one language, to the letter of open-instruct's templates."""

    code: str
    """How files of one language name it."""
    task: str
    closed_book: str
    """The task without a passage."""
    passage: str
    question: str
    answer: str


LANGUAGES = {
    "arabic": Words(
        code="ar",
        task="أجب على السؤال التالي بناءً على المعلومات في المقطع المعطى.",
        closed_book="أجب على السؤال التالي.",
        passage="المقطع:",
        question="السؤال:",
        answer="الإجابة:",
    ),
    "bengali": Words(
        code="bn",
        task="প্রদত্ত অধ্যায়ের তথ্যের উপর ভিত্তি করে নিম্নলিখিত প্রশ্নের উত্তর দিন।",
        closed_book="নিম্নলিখিত প্রশ্নের উত্তর দিন।",
        passage="অধ্যায়:",
        question="প্রশ্ন:",
        answer="উত্তর:",
    ),
    "english": Words(
        code="en",
        task="Answer the following question based on the information in the given passage.",
        closed_book="Answer the following question.",
        passage="Passage:",
        question="Question:",
        answer="Answer:",
    ),
    "finnish": Words(
        code="fi",
        task="Vastaa seuraavaan kysymykseen annetun kappaleen tiedon perusteella.",
        closed_book="Vastaa seuraavaan kysymykseen.",
        passage="Kappale:",
        question="Kysymys:",
        answer="Vastaus:",
    ),
    "indonesian": Words(
        code="id",
        task="Jawab pertanyaan berikut berdasarkan informasi di bagian yang diberikan.",
        closed_book="Jawab pertanyaan berikut.",
        passage="Bagian:",
        question="Pertanyaan:",
        answer="Jawaban:",
    ),
    "korean": Words(
        code="ko",
        task="주어진 문단의 정보에 기반하여 다음 질문에 답하십시오.",
        closed_book="다음 질문에 답하십시오.",
        passage="문단:",
        question="질문:",
        answer="답변:",
    ),
    "russian": Words(
        code="ru",
        task="Ответьте на следующий вопрос на основе информации в данном отрывке.",
        closed_book="Ответьте на следующий вопрос.",
        passage="Отрывок:",
        question="Вопрос:",
        answer="Ответ:",
    ),
    "swahili": Words(
        code="sw",
        task="Jibu swali lifuatalo kulingana na habari kwenye kifungu kilichotolewa.",
        closed_book="Jibu swali lifuatalo.",
        passage="Kifungu:",
        question="Swali:",
        answer="Jibu:",
    ),
    "telugu": Words(
        code="te",
        task="ఇచ్చిన పేరాలోని సమాచారం ఆధారంగా కింది ప్రశ్నకు సమాధానం ఇవ్వండి.",
        closed_book="క్రింది ప్రశ్నకు సమాధానం ఇవ్వండి.",
        passage="పేరా:",
        question="ప్రశ్న:",
        answer="సమాధానం:",
    ),
}
