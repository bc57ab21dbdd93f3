"""The andon cord: anyone pulls it by form or mail, without a name, and sees what became of it.

Nothing of the person is stored or logged: no address, no header, no sender, and not which link was used.
"""
