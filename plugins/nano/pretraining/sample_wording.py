"""The words of the sample's tasks: definition, labels and explanations, one draft a task."""

from __future__ import annotations

from dataclasses import dataclass

from .world import TOPICS, listing


@dataclass(frozen=True)
class Draft:
    """What a task of the sample says, apart from its instances."""

    name: str
    split: str
    category: str
    skill: str
    """Which skill makes the instances."""
    label: str
    """What stands before the input, for instance "Passage: "."""
    definition: str
    reason: str
    """Why a positive example is right; "{answer}" stands for its output."""
    wrong: str = "I do not know"
    """The negative example's output where the usual one would be right by chance."""

    def shown(self, text: str) -> str:
        """Put the label before the input."""
        return f"{self.label}{text}"


_TOPICS = listing(list(TOPICS))

TRAIN = (
    Draft("sample_task01_extract_colour", "train", "Information Extraction", "colour", "Passage: ",
        "In this task, you are given a short passage in which one object is described. Your job is "
        "to find the colour of this object. Answer with the colour only.",
        'The passage says that the object was {answer}.'),
    Draft("sample_task02_extract_weekday", "train", "Information Extraction", "day", "Passage: ",
        "You are given a passage that tells what somebody did. Extract the day of the week on "
        "which it happened.",
        'The passage names {answer} as the day.'),
    Draft("sample_task03_find_animal", "train", "Named Entity Recognition", "animal", "",
        "The input is a short story. Exactly one animal plays a part in it. Write down which "
        "animal it is, in a single word.",
        'The only animal in the story is the {answer}.'),
    Draft("sample_task04_find_tool", "train", "Named Entity Recognition", "tool", "Sentence: ",
        "Given a sentence with several nouns, you need to identify the one noun that is a tool, "
        "that is, an object used for work. Output this noun without an article.",
        'A {answer} is used for work; the other nouns are not tools.'),
    Draft("sample_task05_answer_where", "train", "Question Answering", "where", "Passage: ",
        "Read the passage about two people and answer the question at its end. The answer is "
        "always a place that the passage mentions.",
        'The passage says that the person was in the {answer}.'),
    Draft("sample_task06_answer_what", "train", "Question Answering", "what", "Passage: ",
        "You will be shown a passage and a question about it. The question asks either for a "
        "colour or for a day. Answer it in one word, using the passage only.",
        'The passage gives the answer: {answer}.'),
    Draft("sample_task07_classify_mood", "train", "Sentiment Analysis", "mood class", "Text: ",
        'Decide whether the person in the text has a good or a bad feeling. Output "positive" for '
        'a good feeling and "negative" for a bad feeling.',
        'The feeling in the text is {answer}.', "neither"),
    Draft("sample_task08_classify_sentence_type", "train", "Dialogue Act Recognition",
        "sentence type", "Utterance: ",
        "You are given something that a person says, without punctuation. Label it as "
        '"question" if it asks for information, "command" if it tells somebody to do something, '
        'or "statement" if it reports a fact.',
        'The order of the words shows that this is a {answer}.', "exclamation"),
    Draft("sample_task09_check_claim", "train", "Textual Entailment", "agrees", "Text: ",
        'In this task, you are given a text followed by a claim. Answer "true" if the text '
        'supports the claim, and "false" if the text contradicts it.',
        'Comparing the place in the text with the place in the claim shows that it is {answer}.',
        "maybe"),
    Draft("sample_task10_resolve_pronoun", "train", "Coreference Resolution", "pronoun", "",
        "Two people appear in the following sentences, and the pronoun in the second sentence "
        "refers to one of them. Write the name of the person to whom it refers.",
        'The pronoun fits the name {answer}.'),
    Draft("sample_task11_summarize_story", "train", "Summarization", "gist", "Story: ",
        "Summarize the story in one short sentence that tells who did what with which object, and "
        "in which place.",
        'The sentence keeps the person, the object and the place of the story.'),
    Draft("sample_task12_first_item", "train", "Program Execution", "first", "",
        "In this task you are given a list of words, separated by commas. You need to return the "
        "first item of the list.",
        'The list begins with {answer}.'),
    Draft("sample_task13_second_item", "train", "Program Execution", "second", "List: ",
        "You are given a list of words. Output only the word in the second position.",
        'The word in the second position is {answer}.'),
    Draft("sample_task14_join_items", "train", "Program Execution", "joined", "",
        "Turn the given list into a phrase: keep all words in their order, but put the word "
        '"and" instead of a comma before the last one.',
        'All words are kept, and the last one is joined with "and".'),
    Draft("sample_task15_odd_one_out", "train", "Word Semantics", "odd one out", "Words: ",
        "Three of the four given words belong to the same category. Identify the word that does "
        "not belong with the others.",
        'All words except {answer} belong to one category.'),
    Draft("sample_task16_complete_analogy", "train", "Word Analogy", "analogy", "",
        "You are given an analogy between two pairs of opposite words, and the last word of the "
        "second pair is missing. Write the missing word.",
        'The word {answer} is the opposite, as in the first pair.'),
    Draft("sample_task17_change_to_past", "train", "Sentence Perturbation", "past", "Sentence: ",
        "The given sentence tells what somebody does now. Rewrite it so that the action took "
        "place in the past, and change nothing else.",
        'Only the verb was changed to its past form.'),
    Draft("sample_task18_active_to_passive", "train", "Paraphrasing", "passive", "Sentence: ",
        "Rewrite the sentence in the passive voice. The object comes first, and the person who "
        'acted comes last, after the word "by".',
        'The object became the subject, and the person follows the word "by".'),
    Draft("sample_task19_ask_for_place", "train", "Question Generation", "ask where", "Fact: ",
        "Based on the given fact, write a question about the place in which it happened. The "
        'question must begin with "Where" and must not contain the answer.',
        'The question asks for the place and leaves it out.'),
    Draft("sample_task20_describe_person", "train", "Data to Text", "data to text", "",
        "You are given the name, the job and the town of a person as a small table. Write one "
        "sentence that contains all of this information.",
        'The sentence tells the name, the job and the town.'),
)  # fmt: skip

TEST = (
    Draft("sample_task21_extract_place", "test", "Information Extraction", "place", "Passage: ",
        "In this task, you are given a short passage about a person. Extract the place in which "
        "the person was, and do not write anything else.",
        'The passage says that the person was in the {answer}.'),
    Draft("sample_task22_answer_who", "test", "Question Answering", "who", "Passage: ",
        "Read the passage about two people and answer the question that follows. The answer is "
        "the name of one person.",
        'According to the passage, {answer} was there.'),
    Draft("sample_task23_last_item", "test", "Program Execution", "last", "",
        "In this task you are given a list of words, separated by commas. You need to return the "
        "last item of the list.",
        'The list ends with {answer}.'),
    Draft("sample_task24_find_shared_word", "test", "Overlap Extraction", "shared", "Lists: ",
        "Two lists of words are separated by a slash. Find the one word that occurs in both of "
        "the lists.",
        'Only the word {answer} occurs in both lists.'),
    Draft("sample_task25_find_vehicle", "test", "Named Entity Recognition", "vehicle",
        "Sentence: ",
        "Given a sentence with several nouns, you need to identify the one noun that is a vehicle, "
        "that is, something in which or on which people travel. Output this noun without an "
        "article.",
        'People can travel with a {answer}; the other nouns are not vehicles.'),
    Draft("sample_task26_classify_topic", "test", "Text Categorization", "topic", "Sentence: ",
        f"Classify the given sentence by its topic. The possible topics are {_TOPICS}.",
        'The things that are mentioned belong to {answer}.', "money"),
    Draft("sample_task27_judge_answerability", "test", "Answerability Classification",
        "answerable", "Passage: ",
        'You are given a passage and a question. Output "yes" if the passage contains the '
        'information that is needed to answer the question, and "no" otherwise.',
        'Looking for the information in the passage gives the answer "{answer}".', "maybe"),
    Draft("sample_task28_ask_for_object", "test", "Question Generation", "ask what", "Fact: ",
        "Based on the given fact, write a short question about the object. The question must "
        'begin with "What", and it must not mention the object or the place.',
        'The question asks for the object and leaves it out.'),
    Draft("sample_task29_write_title", "test", "Title Generation", "title", "Story: ",
        "Write a title for the story. A good title names the main person and the object, with its "
        "colour, that the person had to do with.",
        'The title names the main person and the object.'),
    Draft("sample_task30_describe_animal", "test", "Data to Text", "pet to text", "",
        "You are given the owner, the kind, the colour and the age of an animal as a small table. "
        "Write one sentence that contains all of this information.",
        'The sentence tells the owner, the animal, its colour and its age.'),
)  # fmt: skip

DRAFTS = (*TRAIN, *TEST)
