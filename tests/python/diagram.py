"""Checks pages of `bully diagram` against the logs that they were drawn from.

    python3 diagram.py LOG PAGE [LOG PAGE ...]

Written without the program's code: pairs up the ends of messages by connection, reads the page as HTML,
and compares. Prints a line for each page; exit status 1 if one is wrong.
"""

import json
import re
import sys
from html.parser import HTMLParser

ANSWERS = {'OK', 'MEMBERS', 'REFUSED'}


class Page(HTMLParser):
    """The arrows of a page: id, path, title."""

    def __init__(self):
        super().__init__()
        self.stack, self.arrows, self.outside, self.scripts = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        for name in ('src', 'href', 'xlink:href'):
            if name in attributes:
                self.outside.append(attributes[name])
        self.scripts += tag == 'script'
        parent = self.stack[-1] if self.stack else ('', {})
        if tag == 'path' and parent[0] == 'g' and parent[1].get('class') == 'm' and 'id' in attributes:
            self.arrows.append({**attributes, 'title': ''})
        if tag not in ('meta', 'input', 'br'):
            self.stack.append((tag, attributes))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, text):
        tags = [tag for tag, _ in self.stack]
        if tags[-2:] == ['path', 'title'] and self.arrows:
            self.arrows[-1]['title'] += text


def messages(log):
    """Each message as the set of the numbers of its lines; and which of them were sent and came."""
    found, whole = [], set()
    talks = {}
    for number, line in enumerate(open(log, encoding='utf-8'), 1):
        try:
            line = json.loads(line)
        except ValueError:
            continue
        if line.get('event') != 'message':
            continue
        if line['conn'] is None:
            found.append(frozenset([number]))
            continue
        key = (line['conn'], line['kind'] in ANSWERS)
        talks.setdefault(key, []).append((number, line))
    for ends in talks.values():
        lines = frozenset(number for number, _ in ends)
        found.append(lines)
        good = {line['dir'] for _, line in ends if 'error' not in line}
        if good == {'send', 'recv'}:
            whole.add(lines)
    return found, whole


def check(log, page):
    text = open(page, encoding='utf-8').read()
    html = Page()
    html.feed(text)
    found, whole = messages(log)
    drawn = []
    for arrow in html.arrows:
        lines = re.search(r'^lines? ([\d, ]+)$', arrow['title'], re.M)
        assert lines, f'no lines in {arrow}'
        drawn.append(frozenset(int(number) for number in lines[1].split(',')))
        sent, received = arrow['id'].split('.')
        numbers = [float(number) for number in re.findall(r'-?[\d.]+', arrow['d'])]
        assert len(numbers) == 4, arrow
        assert numbers[1] <= numbers[3], f'upwards: {arrow}'
        if drawn[-1] in whole:
            assert sent and received and int(sent) < int(received), f'backwards: {arrow}'
    assert len(drawn) == len(set(drawn)), 'a message is drawn twice'
    assert sorted(map(sorted, drawn)) == sorted(map(sorted, found)), (
        f'{len(drawn)} arrows, {len(found)} messages; not drawn: {set(found) - set(drawn)}, '
        f'made up: {set(drawn) - set(found)}')
    assert 'http' not in text and not html.outside, f'it needs others: {html.outside}'
    assert html.scripts == 1
    return len(found), len(whole), len(text.encode())


def main(files):
    wrong = 0
    for log, page in zip(files[::2], files[1::2]):
        try:
            found, whole, size = check(log, page)
            print(f'{page}: {found} messages, {whole} of them whole, {size} bytes')
        except AssertionError as error:
            wrong += 1
            print(f'{page}: {error}', file=sys.stderr)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
