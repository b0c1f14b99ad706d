// How buttons, fields and notes look, in every element alike.
import { css } from 'lit';

export const controls = css`
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }

  [hidden] {
    display: none !important;
  }

  h1,
  h2,
  h3,
  p,
  ul,
  ol,
  dl,
  dd,
  fieldset {
    margin: 0;
    padding: 0;
    border: 0;
  }

  ul,
  ol {
    list-style: none;
  }

  a {
    color: var(--link);
  }

  svg {
    display: block;
    flex: none;
  }

  .for-readers {
    position: absolute;
    width: 1px;
    height: 1px;
    margin: -1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }

  :focus-visible {
    outline: 2px solid var(--focus);
    outline-offset: 2px;
  }

  button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 0.5rem;
    min-height: 2.25rem;
    padding: 0.375rem 0.875rem;
    border: 1px solid var(--line-strong);
    border-radius: 0.5rem;
    background: transparent;
    color: var(--text);
    font: inherit;
    font-weight: 500;
    cursor: pointer;
  }

  button:hover {
    background: var(--hover);
  }

  button.primary {
    border-color: transparent;
    background: var(--accent);
    color: var(--accent-text);
  }

  button.primary:hover {
    background: var(--accent-hover);
  }

  button.danger {
    border-color: transparent;
    background: var(--danger);
    color: var(--ground);
  }

  button.danger:hover {
    filter: brightness(0.92);
  }

  button.plain {
    border-color: transparent;
  }

  button.icon {
    width: 2.25rem;
    padding: 0;
    border-color: transparent;
    color: var(--quiet);
  }

  button.icon:hover,
  button.icon[aria-expanded='true'] {
    color: var(--text);
  }

  button[aria-disabled='true'] {
    cursor: default;
    opacity: 0.75;
  }

  .buttons {
    display: flex;
    gap: 0.5rem;
  }

  .buttons .wide {
    flex: 1;
    min-height: 2.625rem;
  }

  .field {
    display: grid;
    gap: 0.3125rem;
  }

  .field > label {
    font-weight: 500;
  }

  .field .with-button {
    position: relative;
    display: grid;
  }

  .field .with-button input {
    padding-right: 2.75rem;
  }

  .field .with-button button {
    position: absolute;
    right: 0.1875rem;
    top: 0.1875rem;
  }

  input,
  textarea {
    width: 100%;
    min-height: 2.625rem;
    margin: 0;
    padding: 0.5rem 0.75rem;
    border: 1px solid var(--line-strong);
    border-radius: 0.5rem;
    background: var(--field);
    color: var(--text);
    font: inherit;
  }

  input::placeholder,
  textarea::placeholder {
    color: var(--quiet);
    opacity: 1;
  }

  input:focus-visible,
  textarea:focus-visible {
    outline-offset: -1px;
    border-color: var(--focus);
  }

  input[aria-invalid='true'],
  textarea[aria-invalid='true'] {
    border-color: var(--danger);
  }

  .hint {
    color: var(--quiet);
    font-size: 0.8125rem;
  }

  .problem {
    display: flex;
    gap: 0.375rem;
    color: var(--danger);
    font-size: 0.8125rem;
    font-weight: 500;
  }

  .problem svg {
    margin-top: 0.125rem;
  }

  .mono {
    font-family: var(--mono);
    font-size: 0.8125rem;
  }

  .spinner {
    width: 1rem;
    height: 1rem;
    flex: none;
    border: 2px solid currentcolor;
    border-top-color: transparent;
    border-radius: 50%;
    animation: turn 0.8s linear infinite;
  }

  @keyframes turn {
    to {
      transform: rotate(1turn);
    }
  }

  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      animation-duration: 4s !important;
      transition: none !important;
      scroll-behavior: auto !important;
    }
  }
`;
