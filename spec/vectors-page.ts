// What a page needs to check vectors by itself: spec/vectors-browser.spec.ts puts it there.
import { checkVectors } from './vectors/check.ts';

Object.assign(globalThis, { checkVectors });
