"""Commands for developers; nothing else imports them."""
