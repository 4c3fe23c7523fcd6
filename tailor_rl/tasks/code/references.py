"""Reference solutions of the generated problems. Their source is what an answer shows, so each
stands alone; their results are the expected outputs.
"""

from __future__ import annotations


def keep_remainder(values: list[int], k: int, r: int) -> list[int]:
    return [value for value in values if value % k == r]


def scale_and_shift(values: list[int], a: int, b: int) -> list[int]:
    return [a * value + b for value in values]


def clip(values: list[int], low: int, high: int) -> list[int]:
    return [min(max(value, low), high) for value in values]


def neighbour_sums(values: list[int], k: int) -> list[int]:
    return [sum(values[i : i + k]) for i in range(len(values) - k + 1)]


def every_nth(values: list[int], n: int, start: int) -> list[int]:
    return values[start::n]


def rotate(values: list[int], k: int) -> list[int]:
    if not values:
        return []
    k = k % len(values)
    return values[k:] + values[:k]


def sort_by_remainder(values: list[int], k: int) -> list[int]:
    return sorted(values, key=lambda value: (value % k, value))


def distances(values: list[int], k: int) -> list[int]:
    return [abs(values[i + k] - values[i]) for i in range(len(values) - k)]


def count_between(values: list[int], low: int, high: int) -> int:
    return sum(low <= value <= high for value in values)


def sum_every_nth(values: list[int], n: int, start: int) -> int:
    return sum(values[start::n])


def nth_largest(values: list[int], k: int) -> int:
    different = sorted(set(values), reverse=True)
    return different[k - 1] if len(different) >= k else 0


def count_pairs(values: list[int], total: int) -> int:
    count = 0
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            if values[i] + values[j] == total:
                count += 1
    return count


def longest_run_above(values: list[int], limit: int) -> int:
    longest = current = 0
    for value in values:
        current = current + 1 if value > limit else 0
        longest = max(longest, current)
    return longest


def shift_letters(text: str, k: int) -> str:
    shifted = []
    for letter in text:
        if "a" <= letter <= "z":
            letter = chr((ord(letter) - ord("a") + k) % 26 + ord("a"))
        shifted.append(letter)
    return "".join(shifted)


def reverse_pieces(text: str, k: int) -> str:
    return "".join(text[i : i + k][::-1] for i in range(0, len(text), k))


def remove_letters(text: str, first: str, second: str) -> str:
    return "".join(letter for letter in text if letter not in (first, second))


def repeat_letter(text: str, letter: str, k: int) -> str:
    return text.replace(letter, letter * k)


def keep_long_words(text: str, k: int) -> str:
    return " ".join(word for word in text.split() if len(word) >= k)


def capitalise_nth(text: str, n: int, start: int) -> str:
    words = text.split()
    return " ".join(w.upper() if i % n == start else w for i, w in enumerate(words))


def count_words(text: str, letter: str, k: int) -> int:
    return sum(letter in word and len(word) >= k for word in text.split())


def letter_value(text: str, k: int) -> int:
    return sum(ord(letter) - ord("a") + 1 for letter in text if "a" <= letter <= "z") % k


def digit_sum(number: int, base: int) -> int:
    total = 0
    while number > 0:
        total += number % base
        number //= base
    return total


def steps_to_zero(number: int, k: int) -> int:
    steps = 0
    while number > 0:
        number = number // k if number % k == 0 else number - 1
        steps += 1
    return steps


def reverse_digits(number: int, b: int) -> int:
    return int(str(number)[::-1]) + b


def count_divisors(number: int, limit: int) -> int:
    return sum(number % divisor == 0 for divisor in range(1, limit + 1))


def in_base(number: int, base: int) -> str:
    digits = ""
    while number > 0:
        digits = str(number % base) + digits
        number //= base
    return digits or "0"
