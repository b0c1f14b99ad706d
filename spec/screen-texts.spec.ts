// The small decisions behind the screens: links in messages, commands in advice, names of people, moments in words.
import assert from 'node:assert/strict';
import { explain } from '../keys/key-refusal.ts';
import { adviceOf } from '../web/mend-text.ts';
import { textParts } from '../web/message-text.ts';
import { fingerprintGroups, personName } from '../web/person-name.ts';
import { dayName, shortTime } from '../web/time-text.ts';

describe('the texts on the screens', () => {
  const links = (message: string) => textParts(message).flatMap((part) => (part.kind === 'link' ? [part.text] : []));

  it('find the addresses in a message and lose none of its characters', () => {
    assert.deepEqual(links('look: https://a.example/x, (http://b.example/y_(z)) and https://c.example.'), [
      'https://a.example/x',
      'http://b.example/y_(z)',
      'https://c.example',
    ]);
    for (const message of ['', 'no link', 'https://', 'a https://a.example b https://b.example/', 'x\nhttps://a.example/\n\n']) {
      assert.equal(
        textParts(message)
          .map((part) => part.text)
          .join(''),
        message,
      );
    }
  });

  it('make no link of anything that could run or deceive', () => {
    assert.deepEqual(links('javascript:alert(1) data:text/html,x file:///etc/passwd ftp://a.example xhttps://a.example'), []);
    assert.deepEqual(links('https://good.example/\u202Egnp.exe'), ['https://good.example/']);
    assert.deepEqual(links('https://[broken https://user@'), []);
  });

  it('take the commands out of every piece of advice that has some', () => {
    const commands = (mend: string) => adviceOf(mend).flatMap((part) => (part.kind === 'command' ? [part.text] : []));
    assert.deepEqual(
      adviceOf("Extend it: gpg --quick-set-expire F 2y and gpg --quick-set-expire F 2y '*', then export it again."),
      [
        { kind: 'words', text: 'Extend it:' },
        { kind: 'command', text: 'gpg --quick-set-expire F 2y' },
        { kind: 'command', text: "gpg --quick-set-expire F 2y '*'" },
        { kind: 'words', text: 'then export it again.' },
      ],
    );
    assert.deepEqual(commands('Set it again with a current GnuPG (gpg --edit-key F passwd) and export it.'), [
      'gpg --edit-key F passwd',
    ]);
    assert.deepEqual(adviceOf('Try again.'), [{ kind: 'words', text: 'Try again.' }]);
    for (const { mend } of Object.values(explain)) {
      const found = commands(mend);
      assert.equal(found.length, mend.split('gpg --').length - 1, mend);
      for (const command of found) assert.match(command, /^gpg --\S.*[^.,)\s]$/, mend);
    }
  });

  it('call people so that nobody can be taken for another', () => {
    const bob = { username: 'bob', nickname: undefined };
    assert.deepEqual(personName(bob, false), { first: 'bob', username: undefined, warning: undefined });
    assert.deepEqual(personName({ ...bob, nickname: 'Captain' }, false), {
      first: 'Captain',
      username: 'bob',
      warning: undefined,
    });
    const mallory = personName({ username: 'mallory', nickname: 'bοb' }, true);
    assert.equal(mallory.first, 'mallory');
    assert.match(mallory.warning ?? '', /bοb/);
    assert.equal(fingerprintGroups('3f9a61c07d52'), '3F9A 61C0 7D52');
  });

  it('name days as people do, across midnight and a change of the clocks', () => {
    const at = (day: number, hour: number) => new Date(2025, 2, day, hour).getTime();
    assert.notEqual(dayName(at(30, 23), at(31, 1)), dayName(at(31, 0), at(31, 1)));
    assert.equal(dayName(at(29, 12), at(30, 12)), dayName(at(30, 12), at(31, 12)));
    assert.match(dayName(at(2, 12), at(31, 12)), /2025/);
    assert.match(shortTime(at(31, 9), at(31, 12)), /9/);
    assert.notEqual(shortTime(at(28, 9), at(31, 12)), shortTime(at(21, 9), at(31, 12)));
  });
});
