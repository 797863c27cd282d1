import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    import convt_trace

    case = convt_trace.Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)
    player = mo.ui.anywidget(case.widget(step=3))
    player
    return mo, player


@app.cell
def _(mo, player):
    mo.md(f"The player stands at step {player.value['step']}.")
    return


if __name__ == "__main__":
    app.run()
