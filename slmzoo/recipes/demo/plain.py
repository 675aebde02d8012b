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
)
