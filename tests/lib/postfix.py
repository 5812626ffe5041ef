"""A real Postfix of a test's own: settings, queue, mailboxes and ports apart from any other on the machine."""

import email
import os
import pwd
import shutil
import signal
import subprocess
from typing import NamedTuple

from lib import place

MAIL_USER = "nobody"  # neither root nor postfix: spawn(8) and virtual(8) refuse those

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = {commands}
daemon_directory = {daemons}
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.t.test
mydestination =
mynetworks = 127.0.0.99/32
inet_interfaces = 127.0.0.1
inet_protocols = all
alias_maps =
alias_database =
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
default_transport = error:this Postfix delivers to t.test only
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions =
in_flow_delay = 0
"""

MASTER = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

ENTRANCE = """127.0.0.1:{port} inet n - n - {processes} smtpd
 -o smtpd_recipient_restrictions=${name}_restrictions
"""

RESTRICTIONS = """{name}_restrictions = reject_unauth_destination, reject_unlisted_recipient,
 check_policy_service {{ {service}, timeout=10s, {{ default_action = {default_action} }} }}
"""

SPAWN = """policy unix - n n - 0 spawn
 user={user} argv={command}
"""


def why_not():
    """Why no Postfix can be started here, or nothing."""
    if os.geteuid() != 0:
        return "Postfix's master must be started by root"
    if not shutil.which("postfix") or not shutil.which("postconf"):
        return "postfix is not installed"
    return ""


def builtin(name):
    """A default compiled in: what /etc/postfix says, or whether it is there, is another Postfix's affair."""
    found = subprocess.run(["postconf", "-d", "-h", name], capture_output=True, text=True, check=True)
    return found.stdout.strip()


class Service(NamedTuple):
    """A policy service, such as inet:127.0.0.1:9999, and what Postfix does when it gives no answer. restrictions: how
    the entrance asks it, where that is not after Postfix's own checks of the recipient; options: more of its settings."""
    place: str
    default_action: str = "DUNNO"
    restrictions: str = RESTRICTIONS
    options: dict = {}


class Postfix:
    """entrances: for each name of an smtpd listener the Service that it asks.
    spawn: the command of a service `policy` under spawn(8), asked as unix:private/policy."""

    def __init__(self, entrances, recipients, spawn="", processes=25, domains="t.test"):
        self.folder = place.new_folder()
        self.ports = {name: place.free_port() for name in entrances}
        self.configuration = self.folder / "etc"
        self.domains = domains
        self.make_folders()
        boxes = "".join(f"{recipient} {recipient.partition('@')[0]}/\n" for recipient in recipients)
        (self.configuration / "mailboxes").write_text(boxes)
        (self.configuration / "main.cf").write_text(self.main(entrances, spawn))
        (self.configuration / "master.cf").write_text(self.services(entrances, spawn, processes))

    def make_folders(self):
        for name in ("etc", "data", "spool", "mail"):
            (self.folder / name).mkdir()
        for name, user in (("data", "postfix"), ("mail", MAIL_USER)):
            account = pwd.getpwnam(user)
            os.chown(self.folder / name, account.pw_uid, account.pw_gid)

    def main(self, entrances, spawn):
        account = pwd.getpwnam(MAIL_USER)
        text = MAIN.format(folder=self.folder, domains=self.domains, uid=account.pw_uid, gid=account.pw_gid,
                           commands=builtin("command_directory"), daemons=builtin("daemon_directory"))
        for name, service in entrances.items():
            names = {"name": name, "service": service.place, "default_action": service.default_action}
            text += service.restrictions.format(**names)
            text += "".join(f"{name}_{key} = {value.format(**names)}\n" for key, value in service.options.items())
        return text + ("policy_time_limit = 3600\n" if spawn else "")

    def services(self, entrances, spawn, processes):
        listeners = (ENTRANCE.format(name=name, port=self.ports[name], processes=processes)
                     + "".join(f" -o {key}=${name}_{key}\n" for key in service.options)
                     for name, service in entrances.items())
        return MASTER + (SPAWN.format(user=MAIL_USER, command=spawn) if spawn else "") + "".join(listeners)

    def postfix(self, command):
        return subprocess.run(["postfix", "-c", str(self.configuration), command], capture_output=True, text=True,
                              timeout=60, check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def start(self):
        done = self.postfix("start")
        if done.returncode:
            raise AssertionError(f"postfix does not start: {done.stdout}{done.stderr}{self.log()}")
        return self

    def master(self):
        """The pid of its master, or nothing."""
        path = self.folder / "spool/pid/master.pid"
        pid = int(path.read_text()) if path.exists() else 0
        return pid if pid and os.path.exists(f"/proc/{pid}") else 0

    def stop(self):
        """By its own master's pid where `postfix stop` does not do it."""
        try:
            pid = self.master()
            self.postfix("stop")
            if pid and os.path.exists(f"/proc/{pid}"):
                os.kill(pid, signal.SIGTERM)
                place.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of Postfix's master")
        finally:
            place.remove_folder(self.folder)

    def log(self):
        path = self.folder / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def mailbox(self, recipient):
        """The messages in a mailbox."""
        folder = self.folder / "mail" / recipient.partition("@")[0] / "new"
        if not folder.is_dir():
            return []
        return [email.message_from_bytes(path.read_bytes()) for path in folder.iterdir()]

    def find(self, sent, recipient):
        return [message for message in self.mailbox(recipient) if message["Message-ID"] == f"<{sent.id}@x.test>"]

    def delivered(self, sent, recipient):
        """Waits for one message's one copy in this mailbox, and returns it."""
        found = place.wait_for(lambda: self.find(sent, recipient), f"{sent} in the mailbox of {recipient}", 20)
        assert len(found) == 1, "delivered twice"
        return found[0]

    def queued(self):
        """The files of messages that are neither delivered nor bounced."""
        queues = ("maildrop", "incoming", "active", "deferred", "hold")
        return [path for queue in queues for path in (self.folder / "spool" / queue).rglob("*") if path.is_file()]
