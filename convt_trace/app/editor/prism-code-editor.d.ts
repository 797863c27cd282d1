// What the editor uses of the bundled prism-code-editor.

export const createEditor: (...args: any[]) => any;
export const defaultCommands: () => any;
export const editHistory: () => any;
export const insertText: (editor: any, text: string, ...places: number[]) => void;
export const layout: string;
