// What simple-peer is given in place of Node's streams, buffers and random bytes.
import assert from 'node:assert/strict';
import { Buffer, Duplex, randomBytes, withCode } from '../web/adapters/simple-peer-parts.ts';

describe('the parts that simple-peer gets', () => {
  it('keep what came before anybody listened, and give it once, in order', () => {
    const stream = new Duplex();
    const heard: unknown[] = [];
    stream.push('first');
    stream.push('');
    stream.on('data', (value) => heard.push(value));
    stream.push('last');
    assert.deepEqual(heard, ['first', '', 'last']);
  });

  it('tell every listener, one who asked for one time once, and none who left', () => {
    const stream = new Duplex();
    const heard: string[] = [];
    const leaving = () => heard.push('left');
    stream.on('connect', leaving);
    stream.once('connect', (value) => heard.push(`once ${value}`));
    stream.on('connect', (value) => heard.push(`always ${value}`));
    stream.removeListener('connect', leaving);
    stream.emit('connect', 1);
    stream.emit('connect', 2);
    assert.deepEqual(heard, ['once 1', 'always 1', 'always 2']);
  });

  it('make bytes of what a channel gives, and names of as many random bytes as asked for', () => {
    assert.deepEqual(Buffer.from(Uint8Array.of(1, 2, 3).buffer), Uint8Array.of(1, 2, 3));
    assert.match(randomBytes(4).toString('hex'), /^[0-9a-f]{8}$/);
    assert.notEqual(randomBytes(20).toString('hex'), randomBytes(20).toString('hex'));
  });

  it('give a code to errors of the browser too, which have another already', () => {
    const error = new DOMException('closed meanwhile', 'OperationError');
    assert.equal(withCode(error, 'ERR_DATA_CHANNEL'), error);
    assert.equal(error.code, 'ERR_DATA_CHANNEL');
    assert.equal(error.message, 'closed meanwhile');
  });
});
