"""Everyday sentences, written by hand: what a recogniser hears well if they are spoken well.

The grammar's sentences put words together that a recogniser's language model does not expect, so that its errors are
many even on the original speech. On these they are few. No part of training sees them.
"""

from __future__ import annotations

__all__ = ["PLAIN"]

PLAIN: tuple[str, ...] = (
    "The children went to school early in the morning.",
    "She put the book on the table and left the room.",
    "My father works in a large hospital near the city.",
    "We had dinner with our friends last night.",
    "The weather was very cold in the winter.",
    "He wants to buy a new house next year.",
    "They walked along the river for two hours.",
    "I think it is going to rain tomorrow.",
    "The teacher asked the students a difficult question.",
    "Please open the window and close the door.",
    "The old man told us a long story about the war.",
    "There are many people in the street today.",
    "She has been living in London for ten years.",
    "The doctor said that he should stay at home.",
    "Can you tell me what time it is?",
    "We will meet again on Monday morning.",
    "The train to Paris leaves at seven o'clock.",
    "He forgot to bring his umbrella with him.",
    "The little girl was playing in the garden.",
    "I would like a glass of water with my lunch.",
    "Our family has a small farm in the mountains.",
    "Nobody knows what happened to the money.",
    "The police found the car in the forest.",
    "It is important to get some rest after work.",
    "My brother is taller than my sister.",
    "The dog was sleeping in front of the fire.",
    "What are you going to do this summer?",
    "He has never seen the ocean before.",
    "The government promised to help the farmers.",
    "She read the letter and began to cry.",
    "You can leave your coat on the chair.",
    "The bus stops in front of the post office.",
    "My grandmother makes the best bread in the village.",
    "He was too tired to finish his work.",
    "Have you heard the news about the election?",
    "The company wants to open a store in our town.",
    "They bought some fruit and vegetables at the market.",
    "I have to call my mother this afternoon.",
    "The boy threw a stone into the water.",
    "Winter is the coldest time of the year.",
    "We could see the lights of the ships at night.",
    "She speaks four languages and writes very well.",
    "Nothing is more important than your health.",
    "The meeting will start in about ten minutes.",
    "He lost his keys on the way home.",
    "There was a strong wind from the north.",
    "My friend plays the piano every evening.",
    "The road is closed because of the snow.",
    "How many people live in your country?",
    "They waited for the answer for three weeks.",
)
