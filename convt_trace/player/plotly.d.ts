// What the player uses of the bundled plotly.js.

interface Plotly {
  react(element: HTMLElement, traces: object[], layout: object, config: object): Promise<unknown>;
  restyle(element: HTMLElement, changes: object, traces: number[]): Promise<unknown>;
}

declare const plotly: Plotly;
export default plotly;
