"""A table beside this file, drawn in three ways."""

import gradio as gr
import matplotlib
import pandas as pd
import plotly.express as px

matplotlib.use("agg")
from matplotlib import pyplot as plt

RAIN = pd.read_csv("rain.csv")


def draw(least):
    kept = RAIN[RAIN["mm"] >= least]
    figure, axes = plt.subplots()
    axes.bar(kept["day"], kept["mm"])
    return kept, figure, px.line(kept, x="day", y="mm"), kept


with gr.Blocks() as demo:
    least = gr.Slider(0, 20, value=0, label="At least")
    table = gr.Dataframe(label="Rain")
    bars, line = gr.Plot(label="Bars"), gr.Plot(label="Line")
    native = gr.LinePlot(x="day", y="mm", label="Native")
    gr.on([demo.load, least.release], draw, least, [table, bars, line, native], api_name="draw")

demo.launch()
