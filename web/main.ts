// Starts the page: theme and first screen at once, then the engine.
import type { Controller } from './app-state.ts';
import { PageTheme } from './theme.ts';
import './elements/app.ts';

const invite = takeInvite();
const theme = new PageTheme({ root: document.documentElement, storage: storageOrNothing() });
const app = document.createElement('secure-app');
app.theme = theme.choice;
app.addEventListener('theme-chosen', (event) => {
  theme.choose(event.theme);
  app.theme = theme.choice;
});
document.body.append(app);
void start(invite);

async function start(link: string | undefined): Promise<void> {
  let controller: Controller;
  try {
    const { createController } = await import('./chat-controller.ts');
    controller = await createController();
  } catch (error) {
    console.error('The engine could not start', error);
    app.failure =
      'The app could not start in this browser. Check your connection, and that the browser may store data for this site.';
    return;
  }
  app.controller = controller;
  if (link !== undefined) void controller.joinByLink(link);
  // A link pasted into the address bar of this very page.
  addEventListener('hashchange', () => {
    const pasted = takeInvite();
    if (pasted !== undefined) void controller.joinByLink(pasted);
  });
}

// An invite is a secret: it leaves the address bar, and with it the history, before anything else happens.
function takeInvite(): string | undefined {
  if (!location.hash.startsWith('#1.')) return undefined;
  const link = location.href;
  history.replaceState(null, '', location.pathname + location.search);
  return link;
}

// Reading the property throws where the browser forbids storage.
function storageOrNothing(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
