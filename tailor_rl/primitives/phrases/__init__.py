"""What the pattern screen looks for: phrases, a verb with its object, never a lone word.

A phrase is written over a text that has been reduced to lower-case words with one blank between
two of them and a " . " for the end of a sentence; "'s" is "_s". In a phrase `~3` is a gap of up to
three words within a sentence, and brackets are groups of a regular expression. What is named
`..._FREE` is searched in the text itself: for scripts that put no blanks between words.
"""
