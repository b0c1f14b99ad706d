// What a QR code of an invite link says to who reads it.
import assert from 'node:assert/strict';
import decodeQR from 'qr/decode.js';
import { qrRows } from '../web/qr-code.ts';

describe('a QR code', () => {
  for (const length of [1, 100, 400, 1500]) {
    it(`says what it was made of, a link of ${length} characters behind the #`, () => {
      const link = `https://chat.example.org/#1.${'aZ0-_9'.repeat(300).slice(0, length)}`;
      assert.equal(decodeQR(pictureOf(qrRows(link))), link);
    });
  }

  it('has a light border, so that readers find its edges', () => {
    const rows = qrRows('bob');
    assert.ok(rows.every((row) => row.length === rows.length));
    for (const edge of [rows.slice(0, 3), rows.slice(-3)]) assert.ok(edge.flat().every((dark) => !dark));
    for (const row of rows) assert.ok([...row.slice(0, 3), ...row.slice(-3)].every((dark) => !dark));
  });
});

/** RGB, each square four pixels wide. */
function pictureOf(rows: boolean[][]): { width: number; height: number; data: Uint8Array } {
  const scale = 4;
  const size = rows.length * scale;
  const data = new Uint8Array(size * size * 3).fill(255);
  rows.forEach((row, y) => {
    row.forEach((dark, x) => {
      if (!dark) return;
      for (let line = y * scale; line < (y + 1) * scale; line++)
        data.fill(0, (line * size + x * scale) * 3, (line * size + (x + 1) * scale) * 3);
    });
  });
  return { width: size, height: size, data };
}
