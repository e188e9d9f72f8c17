"""From words to tokens: tokenizer, prompt templates, class vocabularies, nouns."""
