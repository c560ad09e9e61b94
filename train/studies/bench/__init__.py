"""Benchmarks of training steps and of decoding."""

LINE = (
    *("perceptron", "mlp", "lenet5", "alexnet_cifar", "resnet20", "resnet18", "vit_mini_patch4"),
    *("lstm_char", "seq2seq_mini", "seq2seq_attention_mini", "transformer_mini", "bert_mini", "gpt_char_mini"),
)
