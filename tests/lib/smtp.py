"""Sends mail as a stranger's server would: XCLIENT tells Postfix which address and name to take for the client's."""

import dataclasses
import smtplib

from lib.policy import unique


@dataclasses.dataclass
class Sent:
    """What the server said to each recipient, and whether it took the message; id finds it again when delivered."""
    id: str
    replies: dict
    accepted: bool
    end: str = ""  # the answer to DATA or to its end

    @property
    def reply(self):
        """Of a message with one recipient: `CODE TEXT`."""
        (answer,) = self.replies.values()
        return answer


class Session(smtplib.SMTP):
    """One SMTP session; name is the client's confirmed name, as Postfix would have found it; login, who has logged in."""

    def __init__(self, port, address=None, name="mail.x.test", helo="mail.x.test", login=None):
        super().__init__("127.0.0.1", port, local_hostname=helo, timeout=30)
        self.ehlo()
        if address:
            self.xclient(address, name, login)

    def xclient(self, address, name, login=None):
        address = f"IPV6:{address}" if ":" in address else address
        code, text = self.docmd("XCLIENT", f"NAME={name} ADDR={address}" + (f" LOGIN={login}" if login else ""))
        assert code == 220, text
        self.ehlo_resp = self.helo_resp = None
        self.ehlo()

    def deliver(self, sender, *recipients):
        """One message, to those recipients that are let pass."""
        message = unique("message-")
        options = () if (sender + "".join(recipients)).isascii() else ("SMTPUTF8",)
        self.command_encoding = "utf-8" if options else "ascii"
        code, text = self.mail(sender, options)
        assert code == 250, text
        replies = {recipient: self.say_recipient(recipient) for recipient in recipients}
        passed = any(reply.startswith("250") for reply in replies.values())
        if passed:
            head = f"From: <{sender}>\r\nMessage-ID: <{message}@x.test>\r\nSubject: test\r\n"
            code, text = self.say_message(head.encode() + b"\r\ntext\r\n")
        else:
            self.rset()
        return Sent(message, replies, passed and code == 250, f"{code} {text.decode()}" if passed else "")

    def say_message(self, octets):
        """A refused DATA is an answer, too."""
        try:
            return self.data(octets)
        except smtplib.SMTPDataError as error:
            return error.smtp_code, error.smtp_error

    def say_recipient(self, recipient):
        code, text = self.rcpt(recipient)
        return f"{code} {text.decode()}"


def deliver(port, sender, *recipients, address=None, name="mail.x.test", **client):
    """One message in a session of its own."""
    with Session(port, address, name, **client) as session:
        return session.deliver(sender, *recipients)
