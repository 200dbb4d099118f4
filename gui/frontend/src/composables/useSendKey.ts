// Enter sends, Shift-Enter breaks the line, and an input method's Enter belongs to the input method.

/** Whether this key press sends what is written. */
export function isSendKey(event: KeyboardEvent): boolean {
  if (event.key !== 'Enter' || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return false
  // 229: the browser says that an input method has the key, also just after its composition ended.
  return !event.isComposing && event.keyCode !== 229
}
