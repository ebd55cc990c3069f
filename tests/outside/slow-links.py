"""Transfers over links of 0.25 to 2 Mbit/s, each hop in turn: nothing is sent twice, and nobody is taken for stalled."""

import sys

import links


def fault(transfer):
    """What is wrong with a transfer; None if all is well."""
    if transfer.error:
        return transfer.error
    # With the headers of Ethernet, IP and TCP, which are 5 %. Where many short connections begin at once on a queue of
    # seconds, TCP itself repeats segments that are only late: there the daemon's own count of bytes must do.
    if transfer.sent > 1.1 * transfer.size and transfer.form.name != "put -r":
        return f"{transfer.sent} bytes went over the link, {transfer.sent / transfer.size:.2f} times its size"
    # A look at what is not there yet fails, and is no warning.
    for word in ("stalled", "reset", "WARN gcsd::request"):
        if word in transfer.log or word in transfer.client:
            return f"somebody says {word!r}:\n{transfer.client}\n{transfer.log}"
    return None


def main():
    try:
        links.available()
    except links.NotPermitted as error:
        print(f"skipped slow links: {error}")
        return 0
    failed = False
    for transfer in links.run_all(links.transfers()):
        wrong = fault(transfer)
        if wrong:
            failed = True
            print("# " + wrong.replace("\n", "\n# "))
        print(f"{'not ok' if wrong else 'ok'} {transfer.name}", flush=True)
    return int(failed)


sys.exit(main())
