"""Co-search of student and accelerator: the loss, the layers, the files and the searches."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.timeloop.presets import preset
from accelgym.costmodels.workloads import Layer
from accelgym.experiments.codesign import energy, study
from accelgym.experiments.codesign.__main__ import main
from accelgym.experiments.codesign.distillation import distillation_loss, train_student
from accelgym.experiments.codesign.energy import LayerEnergies, eyeriss
from accelgym.experiments.codesign.images import ImageTask, file_task
from accelgym.experiments.codesign.space import DEFAULT, MODES, Candidate, Machine, Student, Training, cardinality
from accelgym.experiments.codesign.students import ResidualStudent, student_workload
from accelgym.experiments.codesign.study import Evaluation, StudySettings, chosen, front, run_study
from accelgym.experiments.mapper import map_layer

CLASSES = 10


class Teacher(torch.nn.Module):
    """A linear classifier of small images."""

    def __init__(self, channels=3, size=32, classes=CLASSES):
        super().__init__()
        self.head = torch.nn.Linear(channels * size * size, classes)

    def forward(self, images):
        return self.head(images.flatten(1))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("temperature", "mixing"), [(1.0, 0.0), (4.0, 0.6), (2.0, 1.0), (8.0, 0.3)])
def test_the_loss_is_the_formula(temperature, mixing):
    rng = np.random.default_rng(0)
    student, teacher, labels = rng.normal(size=(5, 7)), rng.normal(size=(5, 7)), rng.integers(7, size=5)
    hard = -np.log(softmax(student)[np.arange(5), labels]).mean()
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    soft = (p * np.log(p / q)).sum(axis=1).mean()
    found = distillation_loss(
        torch.tensor(student), torch.tensor(teacher), torch.tensor(labels), temperature, mixing
    ).item()
    assert found == pytest.approx((1 - mixing) * hard + mixing * temperature**2 * soft, rel=1e-9)


def test_resnet_32_has_the_published_size():
    """He et al., 2016, table 6: 0.46 million parameters; 69 million multiply-accumulates of an image of CIFAR-10."""
    student = DEFAULT["cifar"].student
    module = ResidualStudent(student, 3, CLASSES)
    assert sum(p.numel() for p in module.parameters()) == 464_154
    assert student_workload(student, 3, 32, CLASSES).macs == pytest.approx(69e6, rel=0.01)


@pytest.mark.parametrize(
    ("student", "size"), [(Student((1, 2, 1), (4, 8, 16)), 24), (Student((2, 1, 2), (12, 8, 16)), 23)]
)
def test_layers_of_the_mapper_are_those_that_run(student, size):
    module, seen = ResidualStudent(student, 1, 5), []
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            part.register_forward_hook(lambda part, given, out: seen.append((given[0].shape[1:], out.shape[1:])))
    module.eval()(torch.zeros(1, 1, size, size))
    layers = student_workload(student, 1, size, 5).layers
    assert len(layers) == len(seen)
    for layer, (given, out) in zip(layers, seen, strict=True):
        assert (given[0], out[0]) == (layer.C, layer.K), layer.name
        if layer.R > 1:
            assert tuple(out[1:]) == (layer.P, layer.Q), layer.name


def test_the_machine_in_the_middle_is_the_published_eyeriss():
    machine = eyeriss(Machine(12, 14, 108))
    shipped = preset("eyeriss")
    assert machine.levels == shipped.levels
    assert machine.compute == shipped.compute
    other = eyeriss(Machine(8, 16, 216))
    assert other.levels[1].capacity_words == 2 * shipped.levels[1].capacity_words
    assert other.levels[1].fanout == 128
    assert other.levels[1].read_pj > shipped.levels[1].read_pj


def test_energies_come_from_problem_files_and_are_kept(tmp_path, monkeypatch):
    layer = Layer.conv("any", K=2, C=2, H=4, R=3, padding=1)
    energies = LayerEnergies(tmp_path, 1)
    found = energies.of_layer(layer, Machine(12, 14, 108))
    (path,) = (tmp_path / "problems").iterdir()
    assert path.name == "conv_K2_C2_P4_Q4_R3_S3_stride1.yaml"
    direct = map_layer(layer, "eyeriss", "energy", nodes=1)
    assert found[0] == pytest.approx(direct.energy_pj, rel=1e-12)
    monkeypatch.setattr(energy, "map_layer", None)  # A second call would fail.
    assert LayerEnergies(tmp_path, 1).of_layer(layer, Machine(12, 14, 108)) == found


def evaluation(accuracy, energy_pj, mode="joint"):
    return Evaluation(mode, DEFAULT["small"], accuracy, accuracy, energy_pj, 0.0, 0.0)


def test_fronts_and_choices():
    rows = [evaluation(0.5, 3.0), evaluation(0.6, 2.0), evaluation(0.9, 9.0), evaluation(0.4, 1.0)]
    assert [row.energy_pj for row in front(rows)] == [1.0, 2.0, 9.0]
    assert chosen(rows, 0.55).energy_pj == 2.0
    assert chosen(rows, 0.95) is None
    assert Evaluation.from_json(json.loads(json.dumps(rows[0].to_json()))) == rows[0]


def images(count=40, size=8, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    parts = {name: torch.rand((count, 1, size, size), generator=generator) for name in ("train", "validation", "test")}
    labels = {name: torch.arange(count) % classes for name in parts}
    for name, labelled in labels.items():
        parts[name] += labelled[:, None, None, None]
    logits = torch.nn.functional.one_hot(labels["train"], classes).float() * 4
    return ImageTask("bright", parts, labels, logits, {"validation": 1.0, "test": 1.0})


def test_training_learns_and_repeats():
    task, student = images(120), Student((1, 1, 1), (4, 8, 16))
    once = train_student(task, student, Training(2.0, 0.5, 0.03, 6), 1)
    assert once == train_student(task, student, Training(2.0, 0.5, 0.03, 6), 1)
    assert once["test"] > 0.5


@pytest.fixture
def quick(monkeypatch):
    """Energies are MACs, accuracies follow from the channels: a study in no time."""
    calls = []

    def train(task, student, training, seed):
        calls.append(student)
        share = sum(student.channels) / 60 + training.epochs / 100
        return {"validation": share, "test": share}

    monkeypatch.setattr(study, "train_student", train)
    monkeypatch.setattr(
        LayerEnergies,
        "of_layer",
        lambda self, layer, machine: (float(layer.macs * machine.rows * machine.buffer_kib), 0),
    )
    return calls


def test_a_study_that_is_killed_goes_on_as_if_it_had_not_been(quick, tmp_path):
    task, settings = images(), StudySettings(evaluations=9, floor=0.6)
    whole = run_study(tmp_path / "whole", task, settings)
    for mode, parts in MODES.items():
        own = [row.candidate for row in whole if row.mode == mode]
        assert len(own) == len(set(own)) == min(9, cardinality("small", mode))
        assert own[0] == DEFAULT["small"]
        for part in {"student", "training", "machine"} - set(parts):
            assert {getattr(candidate, part) for candidate in own} == {getattr(DEFAULT["small"], part)}

    class KilledError(Exception):
        pass

    def stop(row, left=[11]):  # noqa: B006
        left[0] -= 1
        if not left[0]:
            raise KilledError

    with pytest.raises(KilledError):
        run_study(tmp_path / "cut", task, settings, progress=stop)
    trained = len(quick)
    again = run_study(tmp_path / "cut", task, settings)
    same = [(row.mode, row.candidate, row.accuracy, row.energy_pj) for row in whole]
    assert [(row.mode, row.candidate, row.accuracy, row.energy_pj) for row in again] == same
    run_study(tmp_path / "cut", task, settings)
    pairs = {(row.candidate.student, row.candidate.training) for row in whole}
    assert len(quick) == 2 * len(pairs), trained
    with pytest.raises(InputError, match="another study: settings was"):
        run_study(tmp_path / "cut", task, StudySettings(evaluations=9, floor=0.7))
    wide = run_study(tmp_path / "cut", task, StudySettings(evaluations=10, floor=0.6))
    assert len(wide) > len(whole)


def write_cifar(path, count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count).astype(np.uint8)
    records = np.concatenate((labels[:, None], rng.integers(256, size=(count, 3072), dtype=np.uint8)), axis=1)
    records.tofile(path)
    return records


@pytest.fixture
def cifar(tmp_path):
    parts = [write_cifar(tmp_path / f"data_batch_{k}.bin", 20, k) for k in (1, 2)]
    write_cifar(tmp_path / "test_batch.bin", 10, 9)
    torch.manual_seed(0)
    teacher = Teacher()
    save_file(teacher.state_dict(), tmp_path / "teacher.safetensors")
    batch = {"images": {0: torch.export.Dim("batch", min=1, max=1000)}}
    torch.export.save(
        torch.export.export(teacher, (torch.zeros(4, 3, 32, 32),), dynamic_shapes=batch), tmp_path / "teacher.pt2"
    )
    return tmp_path, np.concatenate(parts), teacher


def test_cifar_files_and_both_kinds_of_teacher(cifar):
    folder, records, teacher = cifar
    train = [folder / "data_batch_1.bin", folder / "data_batch_2.bin"]
    one = file_task(train, [folder / "test_batch.bin"], f"{__name__}:Teacher", folder / "teacher.safetensors")
    two = file_task(train, [folder / "test_batch.bin"], str(folder / "teacher.pt2"), None)
    assert {name: len(x) for name, x in one.images.items()} == {"train": 32, "validation": 8, "test": 10}
    assert (one.channels, one.size, one.classes) == (3, 32, CLASSES)
    assert one.images["validation"][1].flatten().numpy() == pytest.approx(records[5, 1:] / 255, rel=1e-6)
    assert one.labels["validation"].tolist() == records[::5, 0].tolist()
    with torch.no_grad():
        expected = teacher(one.images["train"])
    torch.testing.assert_close(one.logits, expected)
    torch.testing.assert_close(two.logits, expected)


def test_archives_are_read_too(cifar):
    folder, records, _ = cifar
    pixels = records[:, 1:].reshape(-1, 3, 32, 32)
    np.savez(folder / "train.npz", x=pixels, y=records[:, 0].astype(np.int64))
    given = [str(folder / "teacher.pt2"), None]
    one = file_task([folder / "train.npz"], [folder / "test_batch.bin"], *given)
    two = file_task([folder / f"data_batch_{k}.bin" for k in (1, 2)], [folder / "test_batch.bin"], *given)
    torch.testing.assert_close(one.images["train"], two.images["train"])


def test_the_command_runs_on_files_and_says_what_is_wrong(quick, cifar, capsys):
    folder, _, _ = cifar
    files = [
        "--train",
        f"{folder}/data_batch_1.bin",
        f"{folder}/data_batch_2.bin",
        "--test",
        f"{folder}/test_batch.bin",
    ]
    teacher = ["--teacher", f"{folder}/teacher.pt2"]
    main(["--out", f"{folder}/out", *files, *teacher, "--evaluations", "4"])
    table = capsys.readouterr().out
    assert table == (folder / "out" / "table.md").read_text()
    assert "| network and accelerator | 4 |" in table
    assert (folder / "out" / "pareto.png").stat().st_size > 10_000
    assert len((folder / "out" / "evaluations.jsonl").read_text().splitlines()) == 12
    default = Candidate.from_json(
        json.loads((folder / "out" / "evaluations.jsonl").read_text().splitlines()[0])["candidate"]
    )
    assert default.student == Student((5, 5, 5), (16, 32, 64))
    (folder / "short.bin").write_bytes(b"123")
    np.savez(folder / "flat.npz", x=np.zeros((30, 5), dtype=np.float32), y=np.zeros(30, dtype=np.int64))
    for arguments, message in [
        (files, "--train, --test and --teacher go together"),
        (["--weights", "x.safetensors"], "--weights goes with --teacher"),
        (["--floor", "85"], "floor is 85.0, allowed 0 to 1"),
        (["--evaluations", "0"], "evaluations is 0, allowed integers >= 1"),
        (["--images", "0"], "--images is 0"),
        ([*files, "--teacher", "no.such.module:Teacher"], "cannot be imported"),
        ([*files, "--teacher", f"{__name__}:CLASSES"], "allowed: a function"),
        (["--train", f"{folder}/short.bin", *files[3:], *teacher], "short.bin: 3 bytes"),
        (["--train", f"{folder}/flat.npz", *files[3:], *teacher], r"flat.npz: images of shape (5,)"),
        ([*files, "--teacher", f"{__name__}:Narrow"], "does not run on images of shape (3, 32, 32)"),
        ([*files, "--teacher", f"{__name__}:Few"], "needed 10 classes"),
    ]:
        with pytest.raises(SystemExit) as error:
            main(["--out", f"{folder}/bad", *arguments])
        assert error.value.code == 2
        assert message in capsys.readouterr().err.replace("\n", " ")


class Narrow(Teacher):
    """A teacher of other images."""

    def __init__(self):
        super().__init__(size=16)


class Few(Teacher):
    """A teacher of fewer classes."""

    def __init__(self):
        super().__init__(classes=2)
