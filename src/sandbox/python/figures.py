"""A matplotlib backend that gives each figure that is shown to the server, as a PNG."""

import io

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

emit = None


class FigureManager(FigureManagerBase):
    def show(self):
        data = io.BytesIO()
        self.canvas.figure.savefig(data, format='png', bbox_inches='tight')
        emit(data.getvalue())
        Gcf.destroy(self)

    @classmethod
    def pyplot_show(cls, *args, **kwargs):
        for manager in Gcf.get_all_fig_managers():
            manager.show()


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
