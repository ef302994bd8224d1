"""What pages and the API share: links, language, pictures as answers, polls, posters, templates' helpers, mails.

No page and no use case: a page is in `webapp.pages`, what it does is in `webapp.services`.
"""
