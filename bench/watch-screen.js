// Runs in a page before all else: notes when each text first stood on the screen and when the first screen could be used, and types a message.
// Times are in milliseconds of the machine's clock, which all pages on it share.
(() => {
  const now = () => performance.timeOrigin + performance.now();
  const roots = [document];
  const seenAt = new Map();
  const waiting = new Map();

  const look = (node) => {
    if (node.nodeType !== Node.TEXT_NODE) return node.childNodes.forEach(look);
    const text = node.data.trim();
    if (text === '' || seenAt.has(text)) return;
    seenAt.set(text, now());
    waiting.get(text)?.(seenAt.get(text));
    waiting.delete(text);
  };
  // Its callback runs right after the script that changed the page, before anything else does.
  const observer = new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) type === 'characterData' ? look(target) : addedNodes.forEach(look);
  });
  const watch = (root) => observer.observe(root, { childList: true, characterData: true, subtree: true });
  watch(document);

  const attachShadow = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (options) {
    const root = attachShadow.call(this, options);
    roots.push(root);
    watch(root);
    return root;
  };
  const find = (selector) => {
    for (const root of roots) if (root.querySelector(selector)) return root.querySelector(selector);
    return undefined;
  };

  const isUsable = () => {
    const app = document.querySelector('secure-app');
    return find('input:enabled') !== undefined && (app === null ? window.isReady === true : app.controller !== undefined);
  };
  const whenUsable = (resolve) => (isUsable() ? resolve(performance.now()) : requestAnimationFrame(() => whenUsable(resolve)));

  window.screenTimes = {
    /** Since the navigation began. */
    usable: new Promise(whenUsable),
    seen: (text) => new Promise((resolve) => (seenAt.has(text) ? resolve(seenAt.get(text)) : waiting.set(text, resolve))),
    /** Types and presses Enter; gives when. */
    say: (text) => {
      const box = find('textarea');
      box.value = text;
      box.dispatchEvent(new InputEvent('input', { bubbles: true }));
      const at = now();
      box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
      return at;
    },
  };
})();
